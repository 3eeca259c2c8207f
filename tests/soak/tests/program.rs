//! The program runs, and says what is wrong with its arguments.

use std::process::{Command, Output};

fn soak(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_redis-cached-soak")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_short_run_finds_nothing_and_prints_its_table() {
    let output = soak(&["--kind", "server,tls", "--fault", "restarted,frozen-connections", "--rounds", "1"]);
    let (table, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{table}\n{errors}");
    for (kind, fault) in [("server", "restarted"), ("tls", "restarted"), ("server", "frozen-connections")] {
        let row = table.lines().find(|line| line.starts_with(&format!("| {kind} | {fault} |")));
        let cells: Vec<_> = row.unwrap_or_else(|| panic!("{table}")).split('|').map(str::trim).collect();
        let [_, _, _, calls, hits, failures, ..] = cells[..] else { panic!("{table}") };
        assert!(calls.parse::<u64>().unwrap() > 0 && hits.parse::<u64>().unwrap() > 0, "{table}");
        assert_eq!(failures, "0", "{table}");
    }
}

#[test]
fn wrong_arguments_are_refused_with_one_sentence() {
    let cases: [(&[&str], &str); 7] = [
        (&["--hours", "1"], "there is no option `--hours`; --help shows what there is"),
        (&["--minutes"], "--minutes needs a value"),
        (&["--minutes", "ten"], "--minutes takes a number from 1 to 100000, and `ten` is none"),
        (&["--rounds=0"], "--rounds takes a number from 1 to 100000, and `0` is none"),
        (&["--rounds", "1", "--minutes", "1"], "only one of --minutes, --seconds and --rounds says how long it runs"),
        (&["--kind", "servers"], "--kind takes server, tls, sentinel, cluster or all, and `servers` is none of these"),
        (&["--kind", "tls", "--fault", "full"], "there is no fault `full` of these kinds; --list shows what there is"),
    ];
    for (arguments, sentence) in cases {
        let output = soak(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stderr), format!("redis-cached-soak: {sentence}\n"), "{arguments:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
    }
}
