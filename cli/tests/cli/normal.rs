//! What a run prints, without what differs from run to run.

/// Replaces random bytes by `HEX`, dates by `DATE`, durations by `TIME`, and sizes of memory by `MEMORY`.
pub(crate) fn normal(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        hexes(&mut words);
        dates(&mut words);
        durations(&mut words);
        let line = words.join(" ");
        match line.split_once("; ").filter(|(_, rest)| rest.ends_with("of memory")) {
            Some((before, _)) => format!("{before}; MEMORY"),
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The word, and the punctuation around it.
fn parts(word: &str) -> (&str, &str, &str) {
    let inner = word.trim_start_matches('(');
    let begin = &word[..word.len() - inner.len()];
    let core = inner.trim_end_matches([')', ',', ';', ':']);
    (begin, core, &inner[core.len()..])
}

fn hexes(words: &mut [String]) {
    for word in words {
        let (begin, core, end) = parts(word);
        let is_hex = core.len() >= 8 && core.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex {
            *word = format!("{begin}HEX{end}");
        }
    }
}

fn dates(words: &mut Vec<String>) {
    while let Some(at) = words.windows(3).position(|part| {
        let (_, day, _) = parts(&part[0]);
        day.len() == 10 && day.as_bytes()[4] == b'-' && parts(&part[2]).1 == "UTC"
    }) {
        let date = format!("{}DATE{}", parts(&words[at]).0, parts(&words[at + 2]).2);
        words.splice(at..at + 3, [date]);
    }
}

fn durations(words: &mut Vec<String>) {
    const UNITS: [&str; 6] = ["µs", "ms", "s", "min", "h", "d"];
    let mut at = 0;
    while at + 1 < words.len() {
        let is_number =
            !words[at].is_empty() && parts(&words[at]).1.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let (begin, end) = (parts(&words[at]).0.to_owned(), parts(&words[at + 1]).2.to_owned());
        if !is_number || !UNITS.contains(&parts(&words[at + 1]).1) {
            at += 1;
            continue;
        }
        // Both units of a duration are one.
        if at > 0 && words[at - 1] == "TIME" {
            words.splice(at - 1..at + 2, [format!("TIME{end}")]);
        } else {
            words.splice(at..at + 2, [format!("{begin}TIME{end}")]);
            at += 1;
        }
    }
}

#[test]
fn what_differs_is_replaced() {
    assert_eq!(
        normal("in 1 h 2 min (2026-11-30 01:02:03 UTC), id 0123456789abcdef; 1.2 KiB of memory\n3 keys, 41 ms"),
        "in TIME (DATE), id HEX; MEMORY\n3 keys, TIME"
    );
}
