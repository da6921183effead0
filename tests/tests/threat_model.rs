//! The page on threats names tests: all of them exist, and every attack is on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What the page names, as `file::test`.
fn named() -> BTreeSet<(String, String)> {
    let page = fs::read_to_string(root().join("gateway/THREAT-MODEL.md")).unwrap();
    let quoted = page.split('`').skip(1).step_by(2);
    let names = quoted.filter_map(|text| text.split_once("::"));
    names.filter(|(file, _)| *file != "file").map(|(file, test)| (file.into(), test.into())).collect()
}

/// Every Rust file below these folders.
fn sources(dirs: &[&str]) -> Vec<PathBuf> {
    let mut open: Vec<PathBuf> = dirs.iter().map(|dir| root().join(dir)).collect();
    let mut files = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
                false => {}
            }
        }
    }
    files
}

#[test]
fn every_test_named_exists() {
    let files = sources(&["gateway/src", "noise/src", "policy", "tests/tests"]);
    let named = named();
    assert!(named.len() > 100, "only {} are named", named.len());
    for (file, test) in named {
        let names = ["{}.rs", "{}/mod.rs", "{}/tests.rs"].map(|name| name.replace("{}", &file));
        let is_it = |path: &&PathBuf| names.iter().any(|name| path.ends_with(name));
        let mut texts = files.iter().filter(is_it).map(|path| fs::read_to_string(path).unwrap());
        let (function, attack) = (format!("fn {test}("), format!("        {test} = "));
        assert!(texts.any(|text| text.contains(&function) || text.contains(&attack)), "{file}::{test}");
    }
}

#[test]
fn every_attack_is_named() {
    let text = fs::read_to_string(root().join("tests/tests/hostile.rs")).unwrap();
    let attacks = text.lines().filter(|line| line.starts_with("        ") && line.ends_with(';'));
    let attacks: Vec<&str> = attacks.filter_map(|line| Some(line.trim().split_once(" = ")?.0)).collect();
    let attacks: Vec<&str> = attacks.into_iter().filter(|name| !name.contains(' ')).collect();
    assert!(attacks.len() > 90, "only {} attacks", attacks.len());
    let named = named();
    for attack in attacks {
        assert!(named.contains(&("hostile".into(), attack.into())), "{attack}");
    }
}
