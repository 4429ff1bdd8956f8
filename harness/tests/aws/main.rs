//! The AWS binding against moto, which stands in for AWS, and for what moto does not imitate against answers of the documented shapes.
//! Without moto the trials that need it are ignored, and say why.

#![expect(
    clippy::unwrap_used,
    reason = "these are tests, which a harness of their own runs"
)]

#[path = "../shared/beside_a_lab.rs"]
#[expect(dead_code, reason = "the harness needs no variable of its own here")]
mod beside_a_lab;
mod capacity;
mod credentials;
mod databases;
mod documented;
mod failovers;
mod findings;
mod health_checks;
mod instances;
mod kills;
mod rig;
mod rules;
mod security_groups;
mod stand_in;

use std::{process::ExitCode, sync::Arc};

use blackstart_lab as _;
use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};
use rig::{Rig, Settings};
use tokio::runtime::Runtime;

type Case = for<'a> fn(&'a Rig) -> LocalBoxFuture<'a, ()>;
type Alone = fn() -> LocalBoxFuture<'static, ()>;

/// Each function of a module as a case of its name.
macro_rules! cases {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        [$($((stringify!($name), (|rig| Box::pin($module::$name(rig))) as Case)),+),+]
    };
}

/// The same for those that need nobody.
macro_rules! alone {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        [$($((stringify!($name), (|| Box::pin($module::$name())) as Alone)),+),+]
    };
}

/// Credentials and region are found in the environment of the process, which cannot be changed within: so the trials run in a process
/// of their own.
fn main() -> ExitCode {
    if let Some(aws) = credentials::wanted() {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(credentials::attach_and_tell(&aws));
        return ExitCode::SUCCESS;
    }
    if Settings::are_there() {
        return trials();
    }
    Settings::new().run_again()
}

fn trials() -> ExitCode {
    let on_moto = cases![
        security_groups:
            inbound_rules_are_revoked_and_come_back_with_descriptions_and_tags,
            a_group_that_lets_nothing_in_has_nothing_to_lose,
            a_rule_that_somebody_adds_meanwhile_is_told_and_left,
            half_a_revocation_is_known_as_ours,
            a_group_that_is_not_there_is_named,
            a_dry_run_asks_and_changes_nothing;
        capacity:
            an_instance_is_stopped_and_started,
            an_instance_that_is_stopped_already_has_nothing_to_lose,
            the_group_of_an_instance_does_not_replace_it_meanwhile,
            a_process_that_somebody_suspends_meanwhile_is_told_and_left,
            a_terminated_instance_is_told,
            a_group_is_scaled_and_gets_all_three_of_its_numbers_back,
            what_a_human_or_a_policy_scaled_meanwhile_is_told_and_left,
            scaling_policies_are_told_beforehand;
        health_checks:
            the_path_of_a_target_group_is_broken_and_all_its_settings_come_back,
            settings_that_somebody_changes_meanwhile_are_told_and_overwritten_on_request,
            a_target_group_that_asks_no_path_or_is_not_there_is_named,
            target_health_is_what_the_load_balancer_thinks,
            a_health_check_is_inverted_disabled_or_misled_and_comes_back,
            a_health_check_that_is_disabled_already_has_nothing_to_lose,
            a_health_check_that_is_not_there_is_named,
            weights_are_shifted_and_come_back_with_all_else_as_it_was,
            records_that_are_not_there_or_have_no_weight_are_named;
        databases:
            a_reader_becomes_the_writer_and_the_writer_comes_back,
            a_writer_that_somebody_chose_meanwhile_is_told_and_left,
            what_cannot_fail_over_is_named,
            the_status_of_a_database_and_the_state_of_an_alarm_are_read;
        findings:
            what_would_keep_a_service_from_failing_over_is_found;
        kills:
            one_drill_breaks_and_restores_a_lab_and_an_account,
            an_account_is_restored_by_the_guard_when_the_harness_is_killed,
            revert_restores_an_account_when_harness_and_guard_are_killed;
    ];
    let documented = alone![
        credentials:
            a_profile_that_a_file_names_wins_over_keys_in_variables,
            keys_in_variables_win_over_a_profile_in_a_variable_and_are_the_way_back;
        documented:
            credentials_that_are_not_accepted_are_told,
            what_leads_to_no_credentials_is_told_before_anything_is_asked,
            credentials_of_another_account_are_refused,
            a_page_of_somebody_else_is_not_taken_for_aws,
            the_checkers_of_a_health_check_are_counted_as_route_53_does,
            a_write_made_of_another_version_is_made_anew_or_given_up,
            records_are_not_changed_where_nobody_confirms,
            the_traffic_of_a_zone_is_shifted_away_and_comes_back,
            a_shift_that_an_operator_took_over_is_told_and_left,
            what_cannot_be_shifted_is_named;
        failovers:
            a_database_with_a_standby_is_rebooted_and_waited_for,
            a_database_that_is_busy_and_serves_is_not_taken_for_one_that_reboots,
            a_failover_that_shows_late_is_not_taken_for_none,
            what_a_cluster_refuses_beforehand_is_told_at_once;
        instances:
            a_group_goes_on_when_its_load_balancers_have_seen_the_instance_again,
            a_group_that_asks_a_classic_load_balancer_is_refused,
            an_instance_that_ec2_does_not_start_yet_is_started_later,
            an_instance_that_falls_back_is_told_with_what_ec2_says,
            the_group_of_an_instance_that_was_terminated_goes_on,
            what_takes_minutes_has_the_time;
        rules:
            one_rule_that_cannot_be_made_again_keeps_no_other_out,
            a_rule_whose_peering_connection_ended_is_named_and_nothing_revoked;
    ];
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(4);
    let runtime = Arc::new(Runtime::new().expect("threads"));
    let rig = if arguments.list {
        Err("they are only listed".to_owned())
    } else {
        runtime.block_on(Rig::start()).map(Arc::new)
    };
    let trial = |(name, case): (&str, Case)| {
        let (runtime, name) = (Arc::clone(&runtime), format!("aws::{name}"));
        match rig.clone() {
            Ok(rig) => Trial::test(name, move || {
                runtime.block_on(case(&rig));
                Ok(())
            }),
            Err(reason) => Trial::test(name, || Ok(()))
                .with_kind(reason)
                .with_ignored_flag(true),
        }
    };
    let alone = |(name, case): (&str, Alone)| {
        let (runtime, name) = (Arc::clone(&runtime), format!("aws::{name}"));
        Trial::test(name, move || {
            runtime.block_on(case());
            Ok(())
        })
    };
    let trials = on_moto.into_iter().map(trial);
    let trials = trials.chain(documented.into_iter().map(alone)).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
