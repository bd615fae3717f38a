//! Faults of servers: one file in `tests/scenarios` each, one test each.

mod checks;
mod file;
mod outbound;
mod run;
mod setup;
mod unreachable;

use std::collections::BTreeSet;

/// A test for each file of a folder.
macro_rules! scenarios {
    ($($kind:ident: $($name:ident)*;)*) => {
        $(mod $kind {
            $(#[test]
            fn $name() {
                super::run::play(stringify!($kind), stringify!($name));
            })*
        })*

        const ALL: &[(&str, &[&str])] = &[$((stringify!($kind), &[$(stringify!($name)),*])),*];
    };
}

scenarios! {
    imap:
        i01_uidvalidity_changes_between_polls
        i02_uidvalidity_changes_within_a_poll
        i03_uidvalidity_beyond_32_bits
        i03_uidvalidity_goes_backwards
        i03_uidvalidity_missing
        i03_uidvalidity_zero
        i04_exists_is_absurd
        i04_uidnext_is_missing_or_absurd
        i04_uids_up_to_the_highest
        i05_open_range_names_an_earlier_message
        i06_uid_is_reused
        i07_i20_messages_arrive_while_bodies_come
        i07_messages_are_expunged_while_bodies_come
        i07_messages_are_expunged_while_they_are_listed
        i08_fetch_of_many_is_not_understood_because_of_one
        i08_fetch_of_many_is_refused_because_of_one
        i08_message_is_gone_between_list_and_fetch
        i09_bodies_come_back_empty
        i09_body_ends_in_its_middle
        i10_literal_shorter_than_announced
        i10_tagged_reply_never_comes
        i11_literal_longer_than_announced
        i12_literal_of_binary
        i12_literals_of_absurd_length
        i12_message_is_larger_than_the_limit
        i13_large_message_takes_no_more_memory
        i14_partial_fetch_is_ignored
        i15_large_listed_size_is_wrong
        i15_listed_sizes_are_wrong
        i16_bye_between_messages
        i16_bye_inside_a_literal
        i16_bye_instead_of_a_greeting
        i16_bye_instead_of_a_listing
        i16_bye_instead_of_a_selection
        i16_session_ends_at_the_login
        i16_session_ends_inside_the_listing
        i17_line_of_ten_megabytes
        i17_nul_in_a_quoted_string
        i17_octets_of_every_kind_are_kept
        i18_parentheses_are_nested_without_end
        i19_greeting_without_end
        i19_i31_capabilities_of_64_kib_and_more
        i19_line_without_end
        i19_million_flags
        i19_million_untagged_responses
        i19_untagged_responses_without_end
        i20_answers_are_garbage
        i20_unsolicited_responses_come_between
        i20_words_are_in_lower_case_and_apart
        i21_message_comes_twice_with_other_octets
        i22_another_uid_comes_than_was_asked_for
        i22_bodies_come_without_their_uid
        i22_listing_comes_without_uids
        i22_messages_share_a_uid
        i22_uid_comes_last
        i22_uids_are_not_ascending
        i23_login_is_answered_under_another_tag
        i23_reply_comes_twice
        i23_reply_has_a_wrong_tag
        i24_server_has_no_uidplus
        i25_store_is_refused
        i25_uid_expunge_is_not_answered_and_stays_open
        i25_uid_expunge_is_not_answered_before_anything_goes
        i25_uid_expunge_is_not_answered_when_all_is_gone
        i25_uid_expunge_is_refused
        i26_expunge_lies
        i26_more_is_expunged_than_was_asked_for
        i27_deleted_flag_is_not_kept
        i27_mailbox_is_read_only
        i28_no_login_is_allowed_without_tls
        i28_only_login_is_left
        i28_plain_goes_in_two_steps
        i29_refused_logins_are_not_repeated
        i30_busy_servers_count_no_failed_login
        i31_capabilities_are_absent_or_change
        i31_server_is_imap4rev2_only
        i32_list_is_empty
        i32_mailboxes_without_end
        i32_names_of_mailboxes_are_hostile
        i33_inbox_in_any_case_and_odd_delimiters
        i34_mailbox_cannot_be_opened
        i34_mailbox_is_gone_when_it_is_opened
        i37_search_is_not_supported
        i37_search_is_refused_and_says_too_much
        i38_many_messages_with_sparse_uids
        i40_dates_are_absurd
        i41_message_is_in_two_mailboxes
        i42_logout_is_never_answered;
    pop3:
        pop01_server_has_no_uidl
        pop02_unique_ids_are_shared
        pop03_unique_id_is_reused
        pop04_every_unique_id_changes
        pop05_unique_ids_are_odd
        pop06_numbers_are_others_in_each_session
        pop07_another_message_comes_than_was_listed
        pop07_listed_sizes_are_wrong
        pop07_message_is_far_smaller_than_listed
        pop07_retr_is_refused
        pop08_connection_is_lost_between_deletes
        pop08_quit_is_lost_and_nothing_removed
        pop08_quit_is_lost_though_all_was_removed
        pop08_quit_is_never_answered
        pop09_quit_is_refused
        pop10_dele_is_refused
        pop12_dots_at_line_starts
        pop12_unstuffed_dot_cuts_a_message
        pop13_lines_end_with_lf
        pop13_octets_of_every_kind_are_kept
        pop14_list_never_ends
        pop14_message_comes_empty
        pop14_message_never_ends
        pop15_end_of_file_inside_auth
        pop15_end_of_file_inside_capa
        pop15_end_of_file_inside_list
        pop15_end_of_file_inside_uidl
        pop16_large_messages_take_no_more_memory
        pop17_busy_servers_count_no_failed_login
        pop17_refused_login_is_not_repeated
        pop17_server_refuses_to_greet
        pop18_session_ends_at_the_header_of_a_later_message
        pop18_session_ends_at_the_header_of_one_message
        pop18_top_and_capa_are_absent
        pop20_greeting_has_a_crafted_timestamp
        pop21_list_has_absurd_numbers
        pop21_list_of_a_million
        pop21_lists_contradict_each_other
        pop23_server_logs_out_between_messages;
    smtp:
        s01_connection_is_lost_before_the_final_dot
        s01_connection_is_lost_behind_the_final_dot
        s01_greeting_is_a_refusal
        s01_line_of_a_reply_is_oversized
        s01_login_is_refused
        s01_reply_drips_at_any_word
        s01_reply_has_two_codes
        s01_reply_is_none_of_smtp
        s01_reply_never_ends
        s01_server_closes_with_421_in_the_middle
        s01_server_falls_silent_at_any_word
        s01_server_is_busy_at_any_word
        s01_server_refuses_at_any_word
        t12_s01_starttls_is_stripped
        t13_s01_starttls_is_refused
        t14_s01_replies_are_injected_behind_starttls;
    tcp:
        t03_connection_is_reset_after_accept
        t03_connection_is_reset_inside_a_message
        t04_server_falls_silent_behind_starttls
        t04_server_never_answers_the_handshake
        t05_server_falls_silent_at_the_listing
        t05_server_falls_silent_at_the_login
        t05_server_never_greets
        t06_certificate_has_expired
        t06_certificate_has_expired_after_starttls
        t06_certificate_is_not_yet_valid
        t07_certificate_has_another_name
        t08_certificate_is_of_another_authority
        t09_certificate_is_not_the_pinned_one
        t09_certificate_is_not_the_pinned_one_after_starttls
        t10_server_knows_only_old_tls
        t11_plain_server_on_a_tls_port
        t11_server_speaks_http
        t11_tls_server_on_a_plain_port
        t12_starttls_is_stripped
        t13_server_goes_on_in_plaintext_after_starttls
        t13_starttls_is_refused
        t14_responses_are_injected_behind_starttls
        t15_server_is_authenticated_before_starttls
        t16_bye_before_tls_is_hostile
        t16_servers_words_are_hostile
        t17_tls_ends_without_a_word_inside_a_message
        t18_flood_of_session_tickets
        t19_t20_peer_falls_silent_inside_a_message
        t20_greeting_drips
        t20_server_drips
        t21_answers_come_in_segments_of_1
        t21_answers_come_in_segments_of_2
        t21_answers_come_in_segments_of_3
        t21_answers_come_in_segments_of_7
        t23_file_descriptors_run_out;
}

#[test]
fn every_scenario_has_a_test_and_the_ids_of_its_name() {
    for (kind, names) in ALL {
        let entries = std::fs::read_dir(file::folder().join(kind)).unwrap();
        let files: BTreeSet<String> = entries
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let tests: BTreeSet<String> = names.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(files, tests, "{kind}: files and tests");
        for name in *names {
            let about = file::about(kind, name);
            let ids = about.ids.join("_").to_lowercase();
            assert!(name.starts_with(&format!("{ids}_")), "{name} is of {:?}", about.ids);
            assert!(about.what.ends_with('.'), "{name}: `what` is a sentence");
            let has_poll = *kind == "smtp" || !file::read(kind, name).poll.is_empty();
            assert!(has_poll, "{name}: no poll");
        }
    }
}
