//! Confirmations: a dialog where scripts run, otherwise a page.

use super::visit::everywhere;
use crate::support::PASSWORD;

#[test]
#[ignore = "slow"]
fn revoking_one_token_asks_first_and_leaves_the_others() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        let [laptop, phone] = visit.user("alice", ["laptop", "phone"]).await;
        let [bobs] = visit.user("bob", ["laptop"]).await;
        visit.sign_in().await;
        visit.open_user("alice").await;
        let page = tab.path().await;
        let button = "tr:has(a[aria-label$='for laptop']) td.action a";
        tab.click(button).await;
        visit.assert_asks("Revoke this token?").await;
        tab.assert_text(visit.confirmation(), "laptop").await;
        assert_eq!(tab.path().await == page, visit.script);
        visit.cancel().await;
        tab.assert_at(&page).await;
        tab.assert_count(2, "input[name=id]").await;
        assert_eq!(visit.are_valid([&laptop, &phone]).await, [true, true]);

        tab.click(button).await;
        visit.assert_asks("Revoke this token?").await;
        assert_eq!(visit.are_valid([&laptop]).await, [true]);
        visit.confirm().await;
        visit.assert_flash("was revoked").await;
        tab.assert_at(&page).await;
        tab.assert_count(1, "input[name=id]").await;
        let left = visit.are_valid([&laptop, &phone, &bobs]).await;
        assert_eq!(left, [false, true, true]);
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn revoking_selected_tokens_leaves_the_others() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        let [laptop, phone, watch] = visit.user("alice", ["laptop", "phone", "watch"]).await;
        visit.sign_in().await;
        tab.open("/admin/tokens?user=alice").await;
        tab.assert_count(3, "input[name=id]").await;
        if visit.script {
            tab.assert_text("[data-selected]", "Select all").await;
            tab.assert_count(1, ".bulk .btn:disabled").await;
            tab.click(".bulk input").await;
            tab.assert_text("[data-selected]", "3 selected").await;
            tab.assert_count(3, "input[name=id]:checked").await;
            tab.click(".bulk input").await;
            tab.assert_text("[data-selected]", "Select all").await;
            tab.assert_count(0, "input[name=id]:checked").await;
        } else {
            tab.click(".bulk .btn").await;
            visit.assert_flash("Select at least one token.").await;
        }
        for client in ["laptop", "watch"] {
            tab.click(&format!("input[aria-label$='for {client}']"))
                .await;
        }
        if visit.script {
            tab.assert_text("[data-selected]", "2 selected").await;
        }
        tab.click(".bulk .btn").await;
        visit.assert_asks("Revoke 2 tokens?").await;
        let named = tab.text(&format!("{} .named", visit.confirmation())).await;
        assert!(
            named.contains("laptop") && named.contains("watch"),
            "{named}"
        );
        assert!(!named.contains("phone"), "{named}");
        visit.cancel().await;
        tab.assert_at("/admin/tokens?user=alice").await;
        let all = visit.are_valid([&laptop, &phone, &watch]).await;
        assert_eq!(all, [true, true, true]);

        if !visit.script {
            for client in ["laptop", "watch"] {
                tab.click(&format!("input[aria-label$='for {client}']"))
                    .await;
            }
        }
        tab.click(".bulk .btn").await;
        visit.assert_asks("Revoke 2 tokens?").await;
        visit.confirm().await;
        visit.assert_flash("2 tokens revoked.").await;
        tab.assert_at("/admin/tokens?user=alice").await;
        tab.assert_count(1, "input[name=id]").await;
        let left = visit.are_valid([&laptop, &phone, &watch]).await;
        assert_eq!(left, [false, true, false]);
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn revoking_all_matching_tokens_requires_typing_and_leaves_the_current_session() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        let [laptop, phone] = visit.user("alice", ["laptop", "phone"]).await;
        let [bobs] = visit.user("bob", ["laptop"]).await;
        let all = [&laptop, &bobs, &phone];
        visit.sign_in().await;
        tab.open("/admin/tokens?client=laptop").await;
        visit.revoke_all("Revoke all matching tokens (2)").await;
        visit.assert_asks("Revoke 2 tokens?").await;
        visit.cancel().await;
        tab.assert_at("/admin/tokens?client=laptop").await;
        if visit.script {
            tab.click(".bulk input").await;
        }
        visit.revoke_all("Revoke all matching tokens (2)").await;
        visit.assert_asks("client laptop").await;
        tab.fill("#typed", "yes").await;
        visit.confirm().await;
        visit.assert_asks_again("Type “revoke” to confirm.").await;
        tab.assert_no_errors(400).await;
        assert_eq!(visit.are_valid(all).await, [true; 3]);
        tab.fill("#typed", "revoke").await;
        visit.confirm().await;
        visit.assert_flash("2 tokens revoked.").await;
        assert_eq!(visit.are_valid(all).await, [false, false, true]);

        // Then all tokens, without a filter.
        tab.open("/admin/tokens").await;
        visit.revoke_all("Revoke every token").await;
        visit.assert_asks("every token of every user").await;
        tab.assert_text(visit.confirmation(), "Your current session stays valid")
            .await;
        tab.fill("#typed", "revoke").await;
        visit.confirm().await;
        visit.assert_flash("1 token revoked.").await;
        assert_eq!(visit.are_valid([&phone]).await, [false]);
        tab.assert_text("tbody", "this session").await;
        tab.open("/admin/").await;
        tab.assert_text("h1", "Dashboard").await;
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn sensitive_actions_ask_for_the_password_again_after_15_minutes() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        let [laptop] = visit.user("alice", ["laptop"]).await;
        visit.user("bob", []).await;
        visit.sign_in().await;
        visit.open_user("alice").await;
        tab.click_text("main .actions", "Delete").await;
        visit.assert_asks("Delete alice?").await;
        tab.assert_count(0, "#current_password").await;
        visit.cancel().await;

        visit.expire_confirmation().await;
        tab.click_text("main .actions", "Delete").await;
        visit.assert_asks("Your password").await;
        tab.fill("#current_password", "wrong horse battery").await;
        visit.confirm().await;
        visit.assert_asks_again("password").await;
        tab.assert_no_errors(400).await;
        assert_eq!(
            tab.text(&format!("{} h1", visit.confirmation())).await,
            "Delete alice?"
        );
        assert_eq!(visit.are_valid([&laptop]).await, [true]);
        tab.fill("#current_password", PASSWORD).await;
        visit.confirm().await;
        visit.assert_flash("was deleted").await;
        assert_eq!(visit.are_valid([&laptop]).await, [false]);
        assert_eq!(visit.server.try_login("alice", PASSWORD).await, 400);

        // The password was just confirmed, so it is not requested again.
        visit.open_user("bob").await;
        tab.click_text("main .actions", "Delete").await;
        visit.assert_asks("Delete bob?").await;
        tab.assert_count(0, "#current_password").await;
        visit.confirm().await;
        visit.assert_flash("was deleted").await;
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn disabling_a_user_ends_their_tokens_and_leaves_other_users() {
    everywhere(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        let [laptop] = visit.user("alice", ["laptop"]).await;
        let [bobs] = visit.user("bob", ["laptop"]).await;
        let [carols] = visit.user("carol", ["laptop"]).await;
        visit.sign_in().await;
        visit.open_user("alice").await;
        tab.click_text("main .actions", "Disable").await;
        visit.assert_asks("Disable alice?").await;
        tab.assert_text(visit.confirmation(), "1 live token is revoked immediately")
            .await;
        visit.cancel().await;
        assert_eq!(visit.are_valid([&laptop]).await, [true]);
        tab.click_text("main .actions", "Disable").await;
        visit.assert_asks("Disable alice?").await;
        visit.confirm().await;
        visit.assert_flash("was disabled. 1 token revoked.").await;
        assert_eq!(visit.are_valid([&laptop, &bobs]).await, [false, true]);
        assert_eq!(server.try_login("alice", PASSWORD).await, 400);
        tab.click_text("main .actions", "Enable").await;
        visit.assert_flash("was enabled").await;
        assert_eq!(
            visit.are_valid([&laptop]).await,
            [false],
            "enabling does not restore tokens"
        );
        assert_eq!(server.try_login("alice", PASSWORD).await, 200);

        // A bulk action with the admin's own account among the selected ones.
        tab.open("/admin/users").await;
        for name in ["alice", "bob", "root"] {
            tab.click(&format!("input[aria-label='Select {name}']"))
                .await;
        }
        tab.click_text(".bulk", "Disable").await;
        visit.assert_asks("Disable 2 users?").await;
        tab.assert_text(visit.confirmation(), "Your own account is not disabled.")
            .await;
        visit.confirm().await;
        visit
            .assert_flash("2 users disabled. 2 tokens revoked.")
            .await;
        assert_eq!(visit.are_valid([&bobs, &carols]).await, [false, true]);
        tab.assert_text("tr:has(input[aria-label='Select bob'])", "disabled")
            .await;
        tab.assert_text("tr:has(input[aria-label='Select root'])", "active")
            .await;
        tab.assert_no_errors(200).await;
    });
}
