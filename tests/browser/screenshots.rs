//! Screenshots of every page: `cargo test screenshots -- --ignored`.

use std::fs;
use std::path::Path;

use super::checks::for_each_page;
use super::driver::Driver;

#[test]
#[ignore = "makes files to look at, in target/screenshots"]
fn screenshots() {
    let Some(driver) = Driver::get() else {
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let mut taken = 0;
    rocket::async_test(driver.browse(async |browser| {
        for_each_page(browser, async |_, tab, page| {
            for (kind, theme, width) in [
                ("light", "light", Some(1280)),
                ("dark", "dark", Some(1440)),
                ("tablet", "light", Some(768)),
                ("phone", "light", None),
            ] {
                tab.prefer_theme(theme).await;
                match width {
                    Some(width) => tab.set_width(width).await,
                    None => tab.emulate_phone(true).await,
                }
                let picture = tab.screenshot().await;
                let file = format!("{}-{kind}.png", page.name);
                fs::write(folder.join(file), picture).unwrap();
                taken += 1;
            }
            tab.emulate_phone(false).await;
        })
        .await;
    }));
    eprintln!("{taken} pictures are in {}", folder.display());
}
