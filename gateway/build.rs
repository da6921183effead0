//! Puts the dashboard into the binary, as `make dashboard` built it: a table of its files for `src/http/site.rs`, empty
//! where there are none.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

/// Where the dashboard's build leaves its files.
const DIST: &str = "../web/dashboard/dist";

/// Files here have a hash of what they hold in their names.
const HASHED: &str = "assets/";

fn main() -> Result<(), Box<dyn Error>> {
    let dist = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join(DIST);
    // Cargo watches what is there; for what is not it would run this each time, and build the gateway anew.
    if dist.parent().is_some_and(Path::exists) {
        fs::create_dir_all(&dist)?;
    }
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut paths = Vec::new();
    if dist.exists() {
        list(&dist, &mut paths)?;
    }
    paths.sort();
    let mut table = "&[\n".to_owned();
    for path in &paths {
        add(&mut table, &dist, path)?;
    }
    table.push(']');
    fs::write(Path::new(&std::env::var("OUT_DIR")?).join("site.rs"), table)?;
    Ok(())
}

/// Every file below a directory that is served under its own name.
fn list(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension != "gz") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Adds a file, with the compressed form that lies beside it.
fn add(table: &mut String, dist: &Path, path: &Path) -> Result<(), Box<dyn Error>> {
    let name =
        path.strip_prefix(dist)?.to_str().ok_or("a file of the dashboard has a name that is no UTF-8")?;
    let served_at = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
    let compressed = PathBuf::from(format!("{}.gz", path.display()));
    let gzip = match compressed.exists() {
        true => format!("Some(include_bytes!({compressed:?}))"),
        false => "None".to_owned(),
    };
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(path)?);
    writeln!(
        table,
        "File {{ path: {served_at:?}, content_type: {:?}, etag: \"\\\"{:016x}\\\"\", immutable: {}, identity: \
         include_bytes!({path:?}), gzip: {gzip} }},",
        content_type(name)?,
        hasher.finish(),
        name.starts_with(HASHED),
    )?;
    Ok(())
}

fn content_type(name: &str) -> Result<&'static str, String> {
    Ok(match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("webmanifest") => "application/manifest+json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => {
            return Err(format!(
                "the dashboard has a file {name}, and what that is no browser could be told"
            ));
        }
    })
}
