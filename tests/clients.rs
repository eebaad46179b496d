//! The example clients of `docs/api.md`. `browser/elsewhere` tests the one for browsers.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::doc_page::{blocks, page, shell, stdout_of};
use crate::support::PASSWORD;
use crate::support::needs;
use crate::support::server::{Server, on_each_url, sqlite, stderr, stdout};

/// The server's address on the page.
const PAGE_ORIGIN: &str = "http://127.0.0.1:8000";

async fn server_with_alice(url: &str) -> Server {
    let server = Server::start(url).await;
    server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
    server
}

/// Parses an HTTP message: the words of its first line, its headers, its body.
fn parse_message(text: &str) -> (Vec<&str>, Vec<(&str, &str)>, Value) {
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let first = lines.next().unwrap().split(' ').collect();
    let headers = lines.map(|line| line.split_once(": ").unwrap()).collect();
    (first, headers, serde_json::from_str(body).unwrap())
}

/// Sends the request under the heading and compares the response with the one on the page. Of the fields in
/// `differs`, only the length is compared.
async fn assert_exchange(server: &Server, heading: &str, differs: &[&str]) {
    let blocks = blocks(&page("api.md"), heading, "http");
    let (line, headers, body) = parse_message(&blocks[0]);
    assert_eq!(line[0], "POST");
    let client = reqwest::Client::new();
    let mut post = client.post(format!("{}{}", server.origin, line[1]));
    for (name, value) in headers.into_iter().filter(|(name, _)| *name != "Host") {
        post = post.header(name, value);
    }
    let answer = post.body(body.to_string()).send().await.unwrap();
    let (line, headers, mut wanted) = parse_message(&blocks[1]);
    assert_eq!(answer.status().to_string(), line[1..].join(" "));
    for (name, value) in headers {
        assert_eq!(answer.headers()[name], value, "{name}");
    }
    let mut answer: Value = answer.json().await.unwrap();
    for name in differs {
        let length = |value: &Value| value[name].as_str().map(str::len);
        assert_eq!(length(&answer), length(&wanted), "{name}");
        answer[name].take();
        wanted[name].take();
    }
    assert_eq!(answer, wanted);
}

#[test]
fn requests_and_responses_match_the_page() {
    on_each_url(async |url| {
        let server = server_with_alice(&url).await;
        assert_exchange(&server, "Sign in", &["auth_token", "expires_at"]).await;
        assert_exchange(&server, "Errors", &["request_id"]).await;
    });
}

#[test]
fn the_readmes_commands_sign_in_and_revoke() {
    if needs::executable("curl", &[]).is_none() {
        return needs::missing("curl", "curl");
    }
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let readme = page("../README.md");
        let blocks = blocks(&readme, "Sign in", "sh");
        let session = blocks[..3].concat();
        let session = session.replace("cargo run -q --", "multitoken");
        let session = session.replace(PAGE_ORIGIN, &server.origin);
        let printed = stdout_of(shell(Path::new("."), &session).env("DATABASE_URL", &url));
        assert!(printed.contains("\"username\":\"alice\"") && printed.contains("\"results\""));
        assert!(printed.contains("1 token revoked\n"), "{printed}");
        let (_, last) = printed.split_once("revoked\n").unwrap();
        assert!(last.starts_with("HTTP/1.1 401 Unauthorized"), "{last}");
        let challenge = last
            .lines()
            .find_map(|line| line.strip_prefix("www-authenticate: "));
        let challenge = format!("`WWW-Authenticate: {}`", challenge.unwrap());
        assert!(readme.contains(&challenge), "{challenge}");
        let seed = blocks[3].replace("cargo run --", "multitoken");
        // The page seeds another database than the server's.
        assert!(seed.starts_with("DATABASE_URL=sqlite:data/demo.db "));
        let seed = seed.replace("sqlite:data/demo.db", "\"$URL\"");
        stdout_of(shell(Path::new("."), &seed).env("URL", &url));
        assert_eq!(server.try_login("demo-admin", PASSWORD).await, 200);
    });
}

#[test]
fn the_curl_example_signs_in_revokes_another_client_and_signs_out() {
    for program in ["curl", "jq"] {
        if needs::executable(program, &[]).is_none() {
            return needs::missing(program, program);
        }
    }
    on_each_url(async |url| {
        let server = server_with_alice(&url).await;
        let phone = server.login("alice", "phone").await;
        let folder = tempfile::tempdir().unwrap();
        let blocks = blocks(&page("api.md"), "With curl", "sh");
        let run = |number: usize| {
            let script = blocks[number].replace(PAGE_ORIGIN, &server.origin);
            let mut shell = shell(folder.path(), &script);
            stdout_of(shell.env("PASSWORD", PASSWORD).env("HOME", folder.path()))
        };
        assert!(run(0).contains("\"username\":\"alice\""));
        let file = folder.path().join(concat!(".", env!("CARGO_PKG_NAME")));
        assert_eq!(file_mode(&file), 0o600);
        let header = std::fs::read_to_string(&file).unwrap();
        let token = header.trim().rsplit(' ').next().unwrap();
        assert_eq!(server.me(token).await, 200);
        let listed = run(1);
        assert!(
            listed.lines().any(|line| line.starts_with("phone ")),
            "{listed}"
        );
        assert_eq!(server.me(&phone).await, 401);
        run(2);
        assert_eq!(server.me(token).await, 401);
        assert!(!file.exists());
    });
}

fn file_mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_python_example_signs_in_lists_tokens_and_signs_out() {
    let Some(schemathesis) = crate::needs::schemathesis() else {
        return;
    };
    // Schemathesis depends on requests, so its environment has both.
    let python = schemathesis.with_file_name("python3");
    on_each_url(async |url| {
        let app = "{hash_memory_kib=8,hash_iterations=1,login_failures_per_account=1}";
        let server = Server::start_with(&url, &[("ROCKET_APP", app)]).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        server.login("alice", "phone").await;
        let script = blocks(&page("api.md"), "In Python", "python").remove(0);
        let home = tempfile::tempdir().unwrap();
        std::fs::write(
            home.path().join(".netrc"),
            "machine 127.0.0.1 login alice password wrong\n",
        )
        .unwrap();
        let run = || {
            let mut command = Command::new(&python);
            command
                .args(["-c", &script.replace(PAGE_ORIGIN, &server.origin)])
                .env("HOME", home.path())
                .env("PASSWORD", PASSWORD);
            command
        };
        let printed = stdout_of(&mut run());
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[0], "alice");
        assert!(lines.contains(&"phone None"), "{printed}");
        assert!(lines.iter().any(|line| line.starts_with("report on ")));
        let left = server.run(&["token", "list", "--user", "alice", "--json"], "");
        let left = stdout(&left);
        assert!(
            left.contains("phone") && !left.contains("report on"),
            "{left}"
        );
        // The client reports a `Retry-After` of minutes and does not wait.
        server.try_login("alice", "wrong").await;
        let (start, output) = (Instant::now(), run().output().unwrap());
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(printed.contains("429 Client Error"), "{printed}");
        assert!(start.elapsed() < Duration::from_secs(20));
    });
}

const GENERATED: &str = "With a generated client";

/// The types that clients rely on. If one differs, this does not compile.
const TYPES: &str = r#"
type Schemas = components["schemas"];
export function types(login: Schemas["LoggedIn"], me: Schemas["Me"], problem: Schemas["Problem"]) {
  const kind: "Bearer" = login.token_type;
  const role: "user" | "admin" = me.role;
  const words: string[] = [kind, role, problem.type, problem.title, problem.detail, problem.request_id];
  const status: number = problem.status;
  const messages: (string[] | undefined)[] = [
    problem.non_field_errors, problem.username, problem.password, problem.client,
    problem.current_password, problem.new_password,
  ];
  // @ts-expect-error: no member of another name.
  return [words, status, messages, problem.nonsense];
}
"#;

#[test]
#[ignore = "slow"]
fn a_generated_typescript_client_signs_in_and_revokes_its_token() {
    let Some(npm) = crate::needs::npm() else {
        return;
    };
    rocket::async_test(async {
        let data = tempfile::tempdir().unwrap();
        let server = server_with_alice(&sqlite(data.path())).await;
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        symlink(npm.join("node_modules"), file("node_modules")).unwrap();
        let page = page("api.md");
        let local = |block: &String| block.replace(PAGE_ORIGIN, &server.origin);
        let program = local(&blocks(&page, GENERATED, "ts")[0]);
        fs::write(file("session.mts"), program + TYPES).unwrap();
        let commands = local(&blocks(&page, GENERATED, "sh")[1]);
        let run = |commands: &str, password: &str| {
            let mut shell = shell(folder.path(), commands);
            // npx must not download packages that are missing.
            shell.env("npm_config_yes", "false");
            shell.env("PASSWORD", password).output().unwrap()
        };
        let output = run(&commands, PASSWORD);
        let printed = stdout(&output);
        assert!(output.status.success(), "{output:?}");
        assert!(
            printed.ends_with(&format!(
                "alice user\nlaptop true\n401 {}\n",
                invalid_token_message(&server).await
            )),
            "{printed}"
        );
        let (_, last) = commands.trim().rsplit_once('\n').unwrap();
        let output = run(last, "wrong");
        assert!(stderr(&output).contains(NO_CREDENTIALS), "{output:?}");
    });
}

#[test]
#[ignore = "slow"]
fn a_generated_python_client_signs_in_and_revokes_its_token() {
    let Some(generator) = crate::needs::openapi_python_client() else {
        return;
    };
    rocket::async_test(async {
        let data = tempfile::tempdir().unwrap();
        let server = server_with_alice(&sqlite(data.path())).await;
        let folder = tempfile::tempdir().unwrap();
        let page = page("api.md");
        let local = |block: &String| block.replace(PAGE_ORIGIN, &server.origin);
        let program = local(&blocks(&page, GENERATED, "python")[0]);
        fs::write(folder.path().join("session.py"), program).unwrap();
        let commands = local(&blocks(&page, GENERATED, "sh")[3]);
        let run = |commands: &str, password: &str| {
            let mut shell = shell(folder.path(), commands);
            let path = std::env::var("PATH").unwrap_or_default();
            let beside = generator.parent().unwrap().display();
            shell.env("PATH", format!("{beside}:{path}"));
            shell.env("PASSWORD", password).output().unwrap()
        };
        let output = run(&commands, PASSWORD);
        let printed = stdout(&output);
        assert!(output.status.success(), "{output:?}");
        assert!(
            printed.ends_with(&format!(
                "alice user\nlaptop True\n401 {}\n",
                invalid_token_message(&server).await
            )),
            "{printed}"
        );
        // The generator supports every part of the document.
        let all = format!("{printed}{}", stderr(&output));
        assert!(!all.contains("Warning") && !all.contains("Error"), "{all}");
        let (_, last) = commands.trim().rsplit_once('\n').unwrap();
        let output = run(last, "wrong");
        assert!(stderr(&output).contains(NO_CREDENTIALS), "{output:?}");
        // Modules that the program does not use can be imported, too.
        let every = "import pkgutil, importlib, service; \
            [importlib.import_module(module.name) for module in pkgutil.walk_packages(service.__path__, 'service.')]";
        let output = run(&format!("python3 -c \"{every}\""), "");
        assert!(output.status.success(), "{output:?}");
    });
}

const NO_CREDENTIALS: &str = "Unable to log in with provided credentials.";

/// The message for an invalid token.
async fn invalid_token_message(server: &Server) -> String {
    let get = reqwest::Client::new().get(format!("{}/auth/me/", server.origin));
    let answer = get.bearer_auth("nonsense").send().await.unwrap();
    let problem: Value = answer.json().await.unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}
