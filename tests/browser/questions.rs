//! What changes something asks first: in a dialog where scripts run, on a page where they don't.

use super::visit::everywhere;
use crate::support::PASSWORD;

#[test]
fn one_token_is_revoked_after_a_question_and_the_others_go_on() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        let [laptop, phone] = visit.user("alice", ["laptop", "phone"]).await;
        let [bobs] = visit.user("bob", ["laptop"]).await;
        visit.sign_in().await;
        visit.open_user("alice").await;
        let page = tab.path().await;
        let button = "tr:has(a[aria-label$='for laptop']) td.action a";
        tab.click(button).await;
        visit.asks("Revoke this token?").await;
        tab.reads(visit.question(), "laptop").await;
        assert_eq!(tab.path().await == page, visit.script);
        visit.cancel().await;
        tab.arrives_at(&page).await;
        tab.has(2, "input[name=id]").await;
        assert_eq!(visit.let_in([&laptop, &phone]).await, [true, true]);

        tab.click(button).await;
        visit.asks("Revoke this token?").await;
        assert_eq!(visit.let_in([&laptop]).await, [true]);
        visit.confirm().await;
        visit.tells("is revoked").await;
        tab.arrives_at(&page).await;
        tab.has(1, "input[name=id]").await;
        let left = visit.let_in([&laptop, &phone, &bobs]).await;
        assert_eq!(left, [false, true, true]);
        tab.is_quiet(200).await;
    });
}

#[test]
fn selected_tokens_are_revoked_and_the_others_go_on() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        let [laptop, phone, watch] = visit.user("alice", ["laptop", "phone", "watch"]).await;
        visit.sign_in().await;
        tab.open("/admin/tokens?user=alice").await;
        tab.has(3, "input[name=id]").await;
        if visit.script {
            tab.reads("[data-selected]", "Select all").await;
            tab.has(1, ".bulk .btn:disabled").await;
            tab.click(".bulk input").await;
            tab.reads("[data-selected]", "3 selected").await;
            tab.has(3, "input[name=id]:checked").await;
            tab.click(".bulk input").await;
            tab.reads("[data-selected]", "Select all").await;
            tab.has(0, "input[name=id]:checked").await;
        } else {
            tab.click(".bulk .btn").await;
            visit.tells("No token was selected.").await;
        }
        for client in ["laptop", "watch"] {
            tab.click(&format!("input[aria-label$='for {client}']"))
                .await;
        }
        if visit.script {
            tab.reads("[data-selected]", "2 selected").await;
        }
        tab.click(".bulk .btn").await;
        visit.asks("Revoke 2 tokens?").await;
        let named = tab.text(&format!("{} .named", visit.question())).await;
        assert!(
            named.contains("laptop") && named.contains("watch"),
            "{named}"
        );
        assert!(!named.contains("phone"), "{named}");
        visit.cancel().await;
        tab.arrives_at("/admin/tokens?user=alice").await;
        let all = visit.let_in([&laptop, &phone, &watch]).await;
        assert_eq!(all, [true, true, true]);

        if !visit.script {
            for client in ["laptop", "watch"] {
                tab.click(&format!("input[aria-label$='for {client}']"))
                    .await;
            }
        }
        tab.click(".bulk .btn").await;
        visit.asks("Revoke 2 tokens?").await;
        visit.confirm().await;
        visit.tells("2 tokens revoked.").await;
        tab.arrives_at("/admin/tokens?user=alice").await;
        tab.has(1, "input[name=id]").await;
        let left = visit.let_in([&laptop, &phone, &watch]).await;
        assert_eq!(left, [false, true, false]);
        tab.is_quiet(200).await;
    });
}

#[test]
fn all_tokens_that_match_are_revoked_once_the_word_is_typed_but_not_the_own_session() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        let [laptop, phone] = visit.user("alice", ["laptop", "phone"]).await;
        let [bobs] = visit.user("bob", ["laptop"]).await;
        let all = [&laptop, &bobs, &phone];
        visit.sign_in().await;
        tab.open("/admin/tokens?client=laptop").await;
        visit.revoke_all("Revoke all that match (2)").await;
        visit.asks("Revoke 2 tokens?").await;
        visit.cancel().await;
        tab.arrives_at("/admin/tokens?client=laptop").await;
        if visit.script {
            tab.click(".bulk input").await;
        }
        visit.revoke_all("Revoke all that match (2)").await;
        visit.asks("client laptop").await;
        tab.write("#typed", "yes").await;
        visit.confirm().await;
        visit.asks_again("Type “revoke” to go on.").await;
        tab.is_quiet(400).await;
        assert_eq!(visit.let_in(all).await, [true; 3]);
        tab.write("#typed", "revoke").await;
        visit.confirm().await;
        visit.tells("2 tokens revoked.").await;
        assert_eq!(visit.let_in(all).await, [false, false, true]);

        // And now every token there is.
        tab.open("/admin/tokens").await;
        visit.revoke_all("Revoke every token").await;
        visit.asks("all tokens of all users").await;
        tab.reads(
            visit.question(),
            "The session that you are using is left alone",
        )
        .await;
        tab.write("#typed", "revoke").await;
        visit.confirm().await;
        visit.tells("1 token revoked.").await;
        assert_eq!(visit.let_in([&phone]).await, [false]);
        tab.reads("tbody", "this session").await;
        tab.open("/admin/").await;
        tab.reads("h1", "Dashboard").await;
        tab.is_quiet(200).await;
    });
}

#[test]
fn a_while_after_sign_in_the_own_password_is_asked_for_again() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        let [laptop] = visit.user("alice", ["laptop"]).await;
        visit.user("bob", []).await;
        visit.sign_in().await;
        visit.open_user("alice").await;
        tab.click_text("main .actions", "Delete").await;
        visit.asks("Delete alice?").await;
        tab.has(0, "#current_password").await;
        visit.cancel().await;

        visit.let_time_pass().await;
        tab.click_text("main .actions", "Delete").await;
        visit.asks("Your own password").await;
        tab.write("#current_password", "wrong horse battery").await;
        visit.confirm().await;
        visit.asks_again("password").await;
        tab.is_quiet(400).await;
        assert_eq!(
            tab.text(&format!("{} h1", visit.question())).await,
            "Delete alice?"
        );
        assert_eq!(visit.let_in([&laptop]).await, [true]);
        tab.write("#current_password", PASSWORD).await;
        visit.confirm().await;
        visit.tells("is deleted").await;
        assert_eq!(visit.let_in([&laptop]).await, [false]);
        assert_eq!(visit.server.try_login("alice", PASSWORD).await, 400);

        // It was just given: not again.
        visit.open_user("bob").await;
        tab.click_text("main .actions", "Delete").await;
        visit.asks("Delete bob?").await;
        tab.has(0, "#current_password").await;
        visit.confirm().await;
        visit.tells("is deleted").await;
        tab.is_quiet(200).await;
    });
}

#[test]
fn a_disabled_user_is_out_until_enabled_again_and_the_others_stay() {
    everywhere(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        let [laptop] = visit.user("alice", ["laptop"]).await;
        let [bobs] = visit.user("bob", ["laptop"]).await;
        let [carols] = visit.user("carol", ["laptop"]).await;
        visit.sign_in().await;
        visit.open_user("alice").await;
        tab.click_text("main .actions", "Disable").await;
        visit.asks("Disable alice?").await;
        tab.reads(visit.question(), "1 live token ends at once")
            .await;
        visit.cancel().await;
        assert_eq!(visit.let_in([&laptop]).await, [true]);
        tab.click_text("main .actions", "Disable").await;
        visit.asks("Disable alice?").await;
        visit.confirm().await;
        visit.tells("is disabled. 1 token ended.").await;
        assert_eq!(visit.let_in([&laptop, &bobs]).await, [false, true]);
        assert_eq!(server.try_login("alice", PASSWORD).await, 400);
        tab.click_text("main .actions", "Enable").await;
        visit.tells("is enabled").await;
        assert_eq!(visit.let_in([&laptop]).await, [false], "what ended, ended");
        assert_eq!(server.try_login("alice", PASSWORD).await, 200);

        // Two at once, and oneself by mistake.
        tab.open("/admin/users").await;
        for name in ["alice", "bob", "root"] {
            tab.click(&format!("input[aria-label='Select {name}']"))
                .await;
        }
        tab.click_text(".bulk", "Disable").await;
        visit.asks("Disable 2 users?").await;
        tab.reads(visit.question(), "You are left out.").await;
        visit.confirm().await;
        visit.tells("2 users disabled. 2 tokens ended.").await;
        assert_eq!(visit.let_in([&bobs, &carols]).await, [false, true]);
        tab.reads("tr:has(input[aria-label='Select bob'])", "disabled")
            .await;
        tab.reads("tr:has(input[aria-label='Select root'])", "active")
            .await;
        tab.is_quiet(200).await;
    });
}
