use crate::run;

#[test]
fn there_are_completions_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (script, code) = run("redis://127.0.0.1", &["completions", shell]);
        assert!(code == 0 && script.contains("rcached") && script.contains("invalidate"), "{shell}: {script}");
    }
}

#[test]
fn there_is_a_manual_page() {
    let (page, code) = run("redis://127.0.0.1", &["man"]);
    assert!(code == 0 && page.contains(".TH rcached 1") && page.contains("Exit codes:"), "{page}");
    let directory = std::env::temp_dir().join(format!("rcached-man-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (_, code) = run("redis://127.0.0.1", &["man", directory.to_str().unwrap()]);
    let pages: Vec<String> =
        std::fs::read_dir(&directory).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(code, 0);
    for page in ["rcached.1", "rcached-ls.1", "rcached-show.1", "rcached-doctor.1"] {
        assert!(pages.iter().any(|known| known == page), "{page} is not in {pages:?}");
    }
}

/// The password of a URL in the environment is not shown.
#[test]
fn the_help_shows_no_secret() {
    for arguments in [&["--help"][..], &["-h"], &["ls", "--help"], &["show"]] {
        let (help, _) = run("redis://shop:secret@redis.internal", arguments);
        assert!(!help.contains("secret"), "{help}");
    }
}
