//! The account pages: sign-up, password reset, email address, devices, deletion, and invitations by an admin.

use std::time::Duration;

use rocket::tokio::time::sleep;
use serde_json::json;

use super::tab::Tab;
use super::visit::{Visit, everywhere};
use crate::support::PASSWORD;

const NEW_PASSWORD: &str = "a staple for every horse";
const ALICE: &str = "alice@example.com";

#[test]
#[ignore = "slow"]
fn a_user_signs_up_confirms_an_address_and_resets_the_password_on_another_device() {
    everywhere(async |visit| {
        let (tab, mailbox) = (&visit.tab, &visit.mailbox);
        tab.open("/.well-known/change-password").await;
        tab.assert_at("/account/login?next=%2Faccount%2Fpassword")
            .await;
        tab.open("/").await;
        tab.assert_at("/account/login?next=%2Faccount%2F").await;
        sign_up(tab).await;

        visit.submit_credentials(ALICE, PASSWORD).await;
        assert_refused(tab, "[role=alert]", "Incorrect username or password.").await;
        let link = mailbox.link(ALICE, "Verify").await;
        open_without_using(tab, &link, ALICE).await;
        tab.send().await;
        assert_flash(tab, "Your email address is verified.").await;
        assert_invalid_link(tab, &link).await;

        tab.open("/").await;
        visit.submit_credentials(ALICE, PASSWORD).await;
        tab.assert_at("/account/").await;
        tab.assert_count(1, ".devices li").await;
        let device = tab.text(".devices li").await;
        assert!(
            device.starts_with("Chrome ") && device.contains(" on Linux"),
            "{device}"
        );
        assert!(device.contains("this browser"), "{device}");
        assert_time_zone_shown(visit).await;
        tab.assert_no_errors(200).await;

        visit
            .on_another_device(async |other| reset_password(visit, other).await)
            .await;
        // Both devices look alike. Until the other one's use is recorded, within a second, it could be this one without
        // its cookie.
        sleep(Duration::from_millis(1500)).await;
        tab.open("/account/").await;
        tab.assert_text("main.alone", "Your session has expired.")
            .await;
        visit.submit_credentials("alice", PASSWORD).await;
        assert_refused(tab, "[role=alert]", "Incorrect").await;
        mailbox.wait_for(ALICE, "Your password for").await;
    });
}

/// Waits for an error message in the form.
async fn assert_refused(tab: &Tab, css: &str, part: &str) {
    tab.assert_text(css, part).await;
    tab.assert_no_errors(400).await;
}

/// Waits for the flash message.
async fn assert_flash(tab: &Tab, part: &str) {
    tab.assert_text("main > [role=status] .alert", part).await;
}

/// Signs alice up from the sign-in page, after one invalid attempt.
async fn sign_up(tab: &Tab) {
    tab.click_text("main", "Sign up").await;
    tab.fill("#username", "alice").await;
    tab.fill("#email", ALICE).await;
    tab.fill("#password", "short").await;
    tab.send().await;
    assert_refused(tab, "#wrong-password", "too short").await;
    tab.assert_count(
        1,
        "#password[aria-invalid][aria-describedby='wrong-password length']",
    )
    .await;
    tab.assert_count(1, "[role=alert]").await;
    for (field, value) in [("#username", "alice"), ("#email", ALICE), ("#password", "")] {
        assert_eq!(tab.property(field, "value").await, json!(value));
    }
    tab.fill("#password", PASSWORD).await;
    tab.send().await;
    assert_flash(tab, "Your account is ready.").await;
}

/// Sets a new password by mail.
async fn reset_password(visit: &Visit, tab: &Tab) {
    tab.open("/account/login").await;
    tab.click_text("main", "Forgot").await;
    tab.fill("#email", ALICE).await;
    tab.send().await;
    assert_flash(tab, "If an account has this email address").await;
    let link = visit.mailbox.link(ALICE, "Set a new password").await;
    open_without_using(tab, &link, "alice").await;
    tab.fill("#new_password", NEW_PASSWORD).await;
    tab.send().await;
    assert_flash(tab, "Your password was set.").await;
    tab.submit_credentials("alice", NEW_PASSWORD).await;
    tab.assert_text("h1", "Your devices").await;
    tab.assert_count(1, ".devices li").await;
    assert_invalid_link(tab, &link).await;
}

/// Opening a link does not use it, because mail scanners open links, too.
async fn open_without_using(tab: &Tab, link: &str, part: &str) {
    for _ in 0..2 {
        tab.open(link).await;
        tab.assert_text("main.alone", part).await;
        tab.assert_no_errors(200).await;
    }
}

async fn assert_invalid_link(tab: &Tab, link: &str) {
    tab.open(link).await;
    tab.assert_text("main.alone", "invalid or has expired")
        .await;
    tab.assert_count(0, "form").await;
    tab.assert_no_errors(400).await;
}

async fn assert_time_zone_shown(visit: &Visit) {
    let zone = visit.tab.text("footer").await;
    let words = if visit.script {
        "Times are in your time zone, "
    } else {
        "Times are in UTC."
    };
    assert!(zone.starts_with(words), "{zone}");
}

#[test]
#[ignore = "slow"]
fn an_invited_user_sets_a_password_and_sees_no_admin_pages() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        visit.sign_in().await;
        tab.open("/admin/users/new").await;
        tab.fill("#username", "root").await;
        tab.fill("#email", "bob@example.com").await;
        tab.click_text("main form", "Create invitation").await;
        assert_refused(tab, "#wrong-username", "already exists").await;
        assert_eq!(tab.property("#email", "value").await, "bob@example.com");
        tab.fill("#username", "bob").await;
        tab.click_text("main form", "Create invitation").await;
        visit.assert_flash("was invited").await;
        let first = tab.text("[data-copy]").await;
        assert_eq!(
            first,
            visit.mailbox.link("bob@example.com", "invited").await
        );
        tab.open("/admin/users?status=invited").await;
        tab.assert_count(1, "tbody tr").await;
        tab.assert_text("tbody tr", "invited").await;

        visit.open_user("bob").await;
        tab.assert_count(0, "[data-copy]").await;
        tab.assert_text(".facts", "not set yet").await;
        tab.click_text("main .actions", "Invite again").await;
        visit.assert_asks("Invite bob again?").await;
        visit.confirm().await;
        visit.assert_flash("was invited again").await;
        let link = tab.text("[data-copy]").await;
        visit
            .on_another_device(async |other| {
                assert_invalid_link(other, &first).await;
                open_without_using(other, &link, "bob").await;
                other.fill("#new_password", "short").await;
                other.send().await;
                assert_refused(other, "#wrong-new_password", "too short").await;
                other.fill("#new_password", NEW_PASSWORD).await;
                other.send().await;
                assert_flash(other, "Your password was set.").await;
                other.submit_credentials("bob", NEW_PASSWORD).await;
                other.assert_text("h1", "Your devices").await;
                other.assert_count(0, "a[href^='/admin']").await;
                other.open("/account/nothing").await;
                other.assert_text("main", "Not found").await;
                other.assert_count(0, "a[href^='/admin']").await;
            })
            .await;

        // An admin moves between the two areas without signing in again.
        tab.click(".menu summary").await;
        tab.click_text(".menu", "Your account").await;
        tab.assert_text("h1", "Your devices").await;
        tab.assert_text(".devices", "admin session").await;
        tab.click(".menu summary").await;
        tab.click_text(".menu", "Admin").await;
        tab.assert_text("h1", "Dashboard").await;
        tab.open("/admin/users?status=invited").await;
        tab.assert_text(".empty", "No users match").await;
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn changing_the_email_address_notifies_the_old_one() {
    const OLD_ADDRESS: &str = "old@example.com";
    everywhere(async |visit| {
        let (tab, mailbox) = (&visit.tab, &visit.mailbox);
        visit.user("alice", []).await;
        visit
            .server
            .execute(
                "UPDATE users SET email = 'old@example.com', email_key = 'old@example.com',
                    email_verified_at = 1 WHERE username = 'alice'",
            )
            .await;
        visit.sign_in_user("alice").await;
        tab.click_text("nav", "Email").await;
        tab.assert_text("main", "old@example.com").await;
        tab.fill("#email", ALICE).await;
        tab.fill("#current_password", "wrong").await;
        tab.send().await;
        assert_refused(tab, "#wrong-current_password", "password is incorrect").await;
        assert_eq!(tab.property("#email", "value").await, ALICE);
        tab.fill("#current_password", PASSWORD).await;
        tab.send().await;
        assert_flash(tab, "Open it to verify the address").await;
        mailbox
            .wait_for(OLD_ADDRESS, "of your account to alice@example.com")
            .await;
        let link = mailbox.link(ALICE, "Verify").await;
        open_without_using(tab, &link, ALICE).await;
        tab.open("/account/email").await;
        tab.assert_text("main", OLD_ADDRESS).await;
        tab.open(&link).await;
        tab.send().await;
        assert_flash(tab, "Your email address is verified.").await;
        mailbox
            .wait_for(OLD_ADDRESS, "was changed to alice@example.com")
            .await;
        tab.open("/account/email").await;
        tab.assert_text("main", ALICE).await;

        tab.click("input[name=notices]").await;
        tab.click_text("main", "Save").await;
        assert_flash(tab, "only get emails about the security").await;
        tab.assert_count(0, "input[name=notices]:checked").await;

        tab.click(".menu summary").await;
        tab.click(".sign-out").await;
        assert_flash(tab, "You are signed out.").await;
        visit.submit_credentials(OLD_ADDRESS, PASSWORD).await;
        assert_refused(tab, "[role=alert]", "Incorrect").await;
        visit.submit_credentials(ALICE, PASSWORD).await;
        tab.assert_text("h1", "Your devices").await;
    });
}

#[test]
#[ignore = "slow"]
fn a_user_signs_devices_out_changes_the_password_and_deletes_the_account() {
    everywhere(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        let [laptop, phone, tablet] = visit.user("alice", ["laptop", "phone", "tablet"]).await;
        let [bobs] = visit.user("bob", ["laptop"]).await;
        let tokens = [&laptop, &phone, &tablet, &bobs];
        visit.sign_in_user("alice").await;
        tab.assert_count(4, ".devices li").await;
        tab.click("[aria-label='Sign out laptop']").await;
        assert_flash(tab, "The device was signed out.").await;
        assert_eq!(visit.are_valid(tokens).await, [false, true, true, true]);
        tab.click_text(".head", "Sign out all other devices").await;
        assert_flash(tab, "2 other devices were signed out.").await;
        assert_eq!(visit.are_valid(tokens).await, [false, false, false, true]);
        tab.assert_count(1, ".devices li").await;
        tab.assert_count(0, ".head button").await;

        tab.click_text("nav", "Password").await;
        tab.fill("#current_password", PASSWORD).await;
        tab.fill("#new_password", "short").await;
        tab.send().await;
        assert_refused(tab, "#wrong-new_password", "too short").await;
        tab.assert_count(0, "#current_password[aria-invalid]").await;
        tab.fill("#current_password", PASSWORD).await;
        tab.fill("#new_password", NEW_PASSWORD).await;
        tab.send().await;
        assert_flash(tab, "Your password was changed.").await;
        assert_eq!(server.try_login("alice", NEW_PASSWORD).await, 200);

        tab.click(".menu summary").await;
        tab.click_text(".menu", "Delete account").await;
        tab.fill("#current_password", PASSWORD).await;
        tab.send().await;
        assert_refused(tab, "#wrong-current_password", "password is incorrect").await;
        tab.fill("#current_password", NEW_PASSWORD).await;
        tab.send().await;
        assert_flash(tab, "Your account was deleted.").await;
        visit.submit_credentials("alice", NEW_PASSWORD).await;
        assert_refused(tab, "[role=alert]", "Incorrect").await;
        assert_eq!(visit.are_valid([&bobs]).await, [true]);
    });
}
