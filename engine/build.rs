//! Embeds templates and assets in release builds, compressed. It also rebuilds the crate when a migration is added,
//! which `sqlx::migrate!` does not detect by itself.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=migrations");
    let engine = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = engine.parent().unwrap_or(&engine);
    // Debug builds read the folders themselves, so that a changed file shows at the next request.
    let is_release = env::var_os("CARGO_CFG_DEBUG_ASSERTIONS").is_none();
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    let mut code = String::new();
    for folder in ["templates", "static"] {
        let top = root.join(folder);
        let mut files = vec![];
        if is_release {
            println!("cargo:rerun-if-changed={}", top.display());
            collect(&top, &mut files)?;
        }
        files.sort();
        let name = folder.to_uppercase();
        writeln!(code, "pub const {name}: &[(&str, &[u8])] = &[")?;
        for (number, file) in files.into_iter().enumerate() {
            let relative = file.strip_prefix(&top)?;
            let relative = relative.to_string_lossy().replace('\\', "/");
            let path = out_dir.join(format!("{folder}-{number}"));
            let mut deflated = DeflateEncoder::new(File::create(&path)?, Compression::best());
            deflated.write_all(&fs::read(file)?)?;
            deflated.finish()?;
            let path = path.to_string_lossy();
            writeln!(code, "    ({relative:?}, include_bytes!({path:?})),")?;
        }
        code.push_str("];\n");
    }
    Ok(fs::write(out_dir.join("embedded.rs"), code)?)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
