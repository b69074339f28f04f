//! The table of request heads.

const HEADS: &str = include_str!("heads.txt");

/// `outcome | head | comment`; in the head, `\r \n \t \0 \\ \xHH` as in Rust, and `\{text*count}` for long ones.
pub fn cases() -> impl Iterator<Item = (usize, &'static str, Vec<u8>)> {
    HEADS
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            let mut parts = line.split(" | ");
            let (outcome, head) = (parts.next().unwrap().trim(), parts.next().expect("a head"));
            assert!(
                parts.next().is_some_and(|comment| !comment.is_empty()),
                "line {}: a comment is missing",
                number + 1
            );
            (number + 1, outcome, unescape(head))
        })
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let used = match escape.as_bytes()[0] {
            b'x' => {
                bytes.push(u8::from_str_radix(&escape[1..3], 16).unwrap());
                3
            }
            b'{' => {
                let end = escape.find('}').unwrap();
                let (unit, count) = escape[1..end].rsplit_once('*').unwrap();
                bytes.extend(unescape(&unit.replace('/', "\\")).repeat(count.parse().unwrap()));
                end + 1
            }
            letter => {
                bytes.push(match letter {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'0' => 0,
                    other => other,
                });
                1
            }
        };
        rest = &escape[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
