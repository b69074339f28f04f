//! What somebody who wrote a word that does not exist most likely meant.

/// Bytes of a word that is looked for; the time that it takes grows with them.
const LONGEST: usize = 256;

/// The candidate that is nearest to `word`, if one is near: at most a third of its letters changed, added, left out, or
/// swapped with their neighbours, or the word begins with it; case does not count.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let judged = candidates.into_iter().filter_map(|candidate| {
        let letters: Vec<char> = candidate.to_lowercase().chars().collect();
        let distance = distance(&word, &letters);
        let begins = letters.len() >= 3 && word.starts_with(&letters);
        let near = distance * 3 <= letters.len().max(3);
        (near || begins).then_some((!near, distance, candidate))
    });
    judged.min().map(|(_, _, candidate)| candidate)
}

/// The mend for a word that is none of `words`: the one most likely meant, else all of them.
pub fn did_you_mean(word: &str, words: &[&str]) -> String {
    if let Some(meant) = nearest(word, words.iter().copied()) {
        return format!("did you mean \"{meant}\"?");
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => format!("write {last}"),
        Some((last, others)) => format!("write {} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The optimal string alignment distance (Damerau, 1964).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn what_was_meant() {
        let keys = ["threads", "max_fills", "max_readers", "ram", "origin"];
        for (word, meant) in [
            ("thread", Some("threads")),
            ("Origin", Some("origin")),
            ("orgiin", Some("origin")),
            ("max_readrs", Some("max_readers")),
            ("rma", Some("ram")),
            ("ram_size", Some("ram")),
            ("originator", Some("origin")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }
}
