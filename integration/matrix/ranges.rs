//! Range requests as RFC 9110 14 has them, for the origin.

/// What a `Range` comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Ignored (14.2): malformed, of another unit, or more than is sensible to answer in parts.
    Whole,
    /// First and last positions, as asked.
    Parts(Vec<(usize, usize)>),
    Unsatisfiable,
}

/// 14.1.1, 14.1.2 and 14.2, for a representation of so many bytes.
pub fn read(value: &str, length: usize) -> Asked {
    let Some((unit, set)) = value.split_once('=') else {
        return Asked::Whole;
    };
    if !unit.eq_ignore_ascii_case("bytes") {
        return Asked::Whole;
    }
    let specs: Vec<&str> = set.split(',').map(str::trim).filter(|spec| !spec.is_empty()).collect();
    let Some(specs) = specs
        .into_iter()
        .map(|spec| resolve(spec, length))
        .collect::<Option<Vec<_>>>()
    else {
        return Asked::Whole;
    };
    let parts: Vec<(usize, usize)> = specs.iter().copied().flatten().collect();
    let total: usize = parts.iter().map(|(first, last)| last - first + 1).sum();
    match (specs.is_empty(), parts.is_empty()) {
        (true, _) => Asked::Whole,
        (false, true) => Asked::Unsatisfiable,
        // 14.2: a server may ignore what asks for more than there is.
        (false, false) if total > length => Asked::Whole,
        (false, false) => Asked::Parts(parts),
    }
}

/// One range; `Some(None)` is valid and unsatisfiable.
fn resolve(spec: &str, length: usize) -> Option<Option<(usize, usize)>> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        let wanted = position(last)?;
        // Some of nothing: satisfiable, but no Content-Range can say it.
        if wanted > 0 && length == 0 {
            return None;
        }
        return Some((wanted > 0).then(|| (length.saturating_sub(wanted), length.saturating_sub(1))));
    }
    let first = position(first)?;
    let last = if last.is_empty() { usize::MAX } else { position(last)? };
    if last < first {
        return None;
    }
    Some((first < length).then(|| (first, last.min(length.saturating_sub(1)))))
}

/// Digits alone, however many.
fn position(digits: &str) -> Option<usize> {
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    decimal.then(|| digits.parse().unwrap_or(usize::MAX))
}
