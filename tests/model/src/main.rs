//! The runs of the tests, and larger ones: `cargo run -p protocol-model --release -- --actors 5`.

use std::process::ExitCode;

use protocol_model::check::check;
use protocol_model::configuration;
use protocol_model::local::{self, Local};
use protocol_model::protocol::Property;
use protocol_model::scenarios::{batches, clusters, large, local, local_large, small, tagged};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let scenarios = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => small().into_iter().chain(tagged()).chain(clusters()).collect(),
        ["--tagged"] => tagged(),
        ["--cluster"] => clusters(),
        ["--local"] => Vec::new(),
        ["--actors", "2"] => large(2),
        ["--actors", "3"] => large(3),
        ["--actors", "4"] => large(4),
        ["--actors", "5"] => large(5),
        _ => {
            eprintln!("usage: protocol-model [--tagged | --cluster | --local | --actors 2|3|4|5]");
            return ExitCode::FAILURE;
        }
    };
    let mut code = ExitCode::SUCCESS;
    let of_the_tier = match arguments.first().map(String::as_str) {
        None => local(),
        Some("--local") => local().into_iter().chain(local_large()).collect(),
        Some(_) => Vec::new(),
    };
    if !hold(of_the_tier) {
        code = ExitCode::FAILURE;
    }
    if arguments.is_empty() {
        for (name, model) in batches() {
            let report = check(&model, &Property::ALL);
            println!("{name}: {:?}\n    {report}", model.mishaps);
            if report.violation.is_some() {
                code = ExitCode::FAILURE;
            }
        }
    }
    for (name, model) in scenarios {
        println!("{name}: {}", configuration(&model));
        let report = check(&model, &Property::ALL);
        println!("    {report}");
        if report.violation.is_some() {
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Explores the scenarios of the local tier, and returns whether all properties hold.
fn hold(scenarios: Vec<(&'static str, Local)>) -> bool {
    let mut holds = true;
    for (name, model) in scenarios {
        let report = check(&model, &local::Property::ALL);
        println!("{name}\n    {report}");
        holds &= report.violation.is_none();
    }
    holds
}
