use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;

fn header() -> Header {
    Header {
        run_id: "2026-01-01T00-00-00Z-abcd".into(),
        drill: "scale-to-zero".into(),
        environment: "three-tier".into(),
        environment_file: "fixtures/environments/three-tier.yaml".into(),
        access: vec![Access::Lab {
            address: "127.0.0.1:4000".parse().unwrap(),
            id: "ab12".into(),
            token_file: "/run/lab.json".into(),
            process: None,
        }],
        events: "events.ndjson".into(),
        owner: Owner::this(),
        started_at: "2026-01-01T00:00:00Z".into(),
        speed: 60.0,
    }
}

fn undo(target: &str) -> Undo {
    Undo {
        target: target.into(),
        binding: "lab".into(),
        resource: format!("workload/{target}"),
        words: "set replicas to 2".into(),
        state: serde_json::json!({"replicas": 2, "note": "line one\nline two \u{1f525}"}),
        injected: serde_json::json!({"replicas": 0}),
    }
}

fn captured(id: usize) -> Record {
    Record::Captured {
        id,
        at: "2026-01-01T00:00:01Z".into(),
        undo: Box::new(undo(&format!("target-{id}"))),
    }
}

fn step(id: usize, step: FaultStep) -> Record {
    Record::Step {
        id,
        by: Actor::Harness,
        at: "2026-01-01T00:00:02Z".into(),
        step,
        detail: (step == FaultStep::RevertFailed).then(|| "no answer".to_owned()),
    }
}

fn bytes(records: &[Record]) -> Vec<u8> {
    records
        .iter()
        .flat_map(|record| line::encode(record).unwrap())
        .collect()
}

/// The bytes of a journal with one target that waits to be restored.
pub(crate) fn sample() -> Vec<u8> {
    bytes(&[Record::Opened(Box::new(header())), captured(0)])
}

fn ids(journal: &Journal) -> Vec<usize> {
    journal.leftovers().iter().map(|left| left.id).collect()
}

fn write(folder: &tempfile::TempDir, records: &[Record]) -> Writer {
    let mut writer = Writer::create(folder.path(), header())
        .now_or_never()
        .unwrap()
        .unwrap();
    for record in records {
        writer.append(record).now_or_never().unwrap().unwrap();
    }
    writer
}

#[test]
fn what_was_written_can_be_read_back_word_by_word() {
    let folder = tempfile::tempdir().unwrap();
    let records = [
        captured(0),
        step(0, FaultStep::Issued),
        step(0, FaultStep::RevertFailed),
        Record::TakenOver {
            by: Actor::Guard,
            at: String::new(),
            why: "the harness is gone".into(),
        },
    ];
    let writer = write(&folder, &records);
    let journal = read(writer.path()).unwrap();
    assert_eq!(journal.header(), Some(&header()));
    assert_eq!(journal.records[1..], records);
    assert_eq!(journal.taken_over(), Some("the harness is gone"));
    assert!(!journal.torn && journal.damaged.is_empty());
    let [left] = &journal.leftovers()[..] else {
        panic!("{journal:?}")
    };
    assert_eq!(left.undo, undo("target-0"));
    assert_eq!(left.failed.as_deref(), Some("no answer"));
}

#[test]
fn a_journal_that_is_there_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    drop(write(&folder, &[]));
    let error = Writer::create(folder.path(), header())
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
}

#[test]
fn what_is_restored_is_no_leftover_and_what_is_only_reverted_is_one() {
    let cases: [(&[Record], &[usize]); 6] = [
        (&[], &[]),
        (&[captured(0), captured(1)], &[0, 1]),
        (&[captured(0), step(0, FaultStep::Reverted)], &[0]),
        (
            &[captured(0), captured(1), step(0, FaultStep::Restored)],
            &[1],
        ),
        (&[captured(0), step(0, FaultStep::Restored)], &[]),
        (
            &[
                captured(0),
                step(0, FaultStep::Restored),
                step(0, FaultStep::Acknowledged),
            ],
            &[0],
        ),
    ];
    for (records, expected) in cases {
        assert_eq!(
            ids(&Journal::parse(&bytes(records))),
            expected,
            "{records:?}"
        );
    }
}

#[test]
fn a_damaged_record_is_named_and_what_it_said_is_not_guessed_at() {
    let records = [
        Record::Opened(Box::new(header())),
        captured(0),
        captured(1),
        step(0, FaultStep::Restored),
    ];
    let whole = bytes(&records);
    let third = bytes(&records[..2]).len()..bytes(&records[..3]).len() - 1;
    let mut changed = whole.clone();
    let at = third.start + whole[third.clone()].len() - 10;
    changed[at] ^= 1;
    let mut zeroed = whole.clone();
    zeroed[third.clone()].fill(0);
    let older = [
        &whole[..third.start],
        br#"{"v":1,"id":0}"#,
        &whole[third.end..],
    ]
    .concat();
    for (bytes, words) in [
        (changed, "does not match its checksum"),
        (zeroed, "is not a record of a journal"),
        (older, "is of format 1"),
    ] {
        let journal = Journal::parse(&bytes);
        assert_eq!(journal.records.len(), 3, "{words}");
        assert!(ids(&journal).is_empty());
        assert!(!journal.is_clean() && !journal.torn);
        let [damage] = &journal.damaged[..] else {
            panic!("{journal:?}")
        };
        assert_eq!(damage.line, 3);
        assert!(damage.what.starts_with(words), "{}", damage.what);
    }
}

#[test]
fn damage_that_a_person_has_settled_waits_for_nobody() {
    let mut bytes = bytes(&[Record::Opened(Box::new(header()))]);
    bytes.extend(b"nonsense\n");
    assert!(!Journal::parse(&bytes).is_clean());
    bytes.extend(line::encode(&Record::Settled { lines: vec![2] }).unwrap());
    let journal = Journal::parse(&bytes);
    assert!(journal.is_clean());
    assert_eq!(journal.damaged.len(), 1);
}

#[test]
fn what_was_in_the_harness_itself_is_gone_with_it() {
    let in_process = Header {
        access: vec![Access::InProcess],
        ..header()
    };
    for (header, clean) in [(header(), false), (in_process, true)] {
        let journal = Journal::parse(&bytes(&[Record::Opened(Box::new(header)), captured(0)]));
        assert_eq!(journal.is_clean(), clean);
        assert_eq!(ids(&journal), [0]);
    }
}

/// A run of a lab in the harness's own process and of a cluster.
fn of_two_systems() -> Header {
    let cluster = Access::Kubernetes {
        cluster: Cluster::default(),
        server: "https://192.0.2.1:6443/".into(),
    };
    Header {
        access: vec![Access::InProcess, cluster],
        ..header()
    }
}

fn captured_of(id: usize, binding: &str) -> Record {
    let Record::Captured { at, mut undo, .. } = captured(id) else {
        panic!("is captured")
    };
    undo.binding = binding.to_owned();
    Record::Captured { id, at, undo }
}

#[test]
fn of_two_systems_only_what_outlives_the_harness_is_left_when_it_is_gone() {
    let mut records = vec![
        Record::Opened(Box::new(of_two_systems())),
        captured_of(0, "lab"),
        captured_of(1, "kubernetes"),
    ];
    assert!(!Journal::parse(&bytes(&records)).is_clean());
    records.push(step(1, FaultStep::Restored));
    let journal = Journal::parse(&bytes(&records));
    assert_eq!(ids(&journal), [0]);
    assert!(journal.is_clean());
}

#[test]
fn a_system_that_is_gone_takes_only_its_own_targets_with_it() {
    let gone = Record::Gone {
        binding: Some("lab".to_owned()),
        why: "its process is gone".to_owned(),
    };
    let journal = Journal::parse(&bytes(&[
        Record::Opened(Box::new(of_two_systems())),
        captured_of(0, "lab"),
        captured_of(1, "kubernetes"),
        gone,
    ]));
    assert_eq!(ids(&journal), [1]);
}

#[test]
fn a_journal_of_before_there_were_several_systems_is_read() {
    let header = header();
    let mut value = serde_json::to_value(&header).unwrap();
    let only = value["access"][0].clone();
    assert!(only.get("lab").is_some());
    value["access"] = only;
    assert_eq!(serde_json::from_value::<Header>(value).unwrap(), header);
}

#[tokio::test]
async fn a_writer_that_has_the_lock_is_told_what_another_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = write(&folder, &[captured(0)]);
    let mut guard = Writer::open(harness.path()).unwrap();
    let Held::Changed(journal) = guard.hold(Duration::ZERO).await.unwrap() else {
        panic!("a writer that has just come knows nothing yet")
    };
    assert_eq!(ids(&journal), [0]);
    let error = harness.hold(Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    guard
        .append(&step(0, FaultStep::Restored))
        .now_or_never()
        .unwrap()
        .unwrap();
    guard.release();
    let Held::Changed(journal) = harness.hold(Duration::ZERO).await.unwrap() else {
        panic!("the guard has written")
    };
    assert!(journal.is_restored(0));
    assert_eq!(harness.look().unwrap(), Held::Unchanged);
}

#[test]
fn what_another_wrote_is_not_hidden_by_a_record_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut harness = write(&folder, &[captured(0)]);
    let mut guard = Writer::open(harness.path()).unwrap();
    guard
        .append(&step(0, FaultStep::Restored))
        .now_or_never()
        .unwrap()
        .unwrap();
    harness
        .append(&step(0, FaultStep::RevertIssued))
        .now_or_never()
        .unwrap()
        .unwrap();
    let Held::Changed(journal) = harness.look().unwrap() else {
        panic!("the guard has written")
    };
    assert!(journal.is_restored(0));
}

#[test]
fn an_injection_that_lands_after_the_restoration_is_owed_again_with_all_that_is_beneath_it() {
    let on_one = |id: usize| Record::Captured {
        id,
        at: "2026-01-01T00:00:01Z".into(),
        undo: Box::new(undo("web")),
    };
    let restored = [0, 1, 2].map(|id| step(id, FaultStep::Restored));
    let mut journal = Journal {
        records: vec![on_one(0), captured(1), on_one(2)],
        ..Journal::default()
    };
    journal.records.extend(restored);
    assert!(journal.leftovers().is_empty());
    journal.records.push(step(2, FaultStep::Acknowledged));
    assert_eq!(ids(&journal), [0, 2]);
    assert!(journal.is_restored(1));
}

#[test]
fn an_injection_without_an_answer_of_yes_is_in_doubt() {
    for (steps, in_doubt) in [
        (vec![], false),
        (vec![FaultStep::Issued], true),
        (vec![FaultStep::Issued, FaultStep::InjectFailed], true),
        (vec![FaultStep::Issued, FaultStep::Acknowledged], false),
    ] {
        let mut records = vec![captured(0)];
        records.extend(steps.iter().map(|taken| step(0, *taken)));
        let journal = Journal {
            records,
            ..Journal::default()
        };
        assert_eq!(journal.leftovers()[0].in_doubt, in_doubt, "{steps:?}");
    }
}

#[test]
fn who_goes_on_with_a_torn_journal_leaves_no_damage_behind() {
    let whole = bytes(&[Record::Opened(Box::new(header())), captured(0), captured(1)]);
    let second = bytes(&[Record::Opened(Box::new(header())), captured(0)]).len();
    for length in second..=whole.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, &whole[..length]).unwrap();
        let mut writer = Writer::open(&path).unwrap();
        writer
            .append(&step(0, FaultStep::Restored))
            .now_or_never()
            .unwrap()
            .unwrap();
        let journal = read(&path).unwrap();
        assert!(journal.damaged.is_empty() && !journal.torn, "{length}");
        let whole_lines = if length >= whole.len() - 1 {
            vec![1]
        } else {
            vec![]
        };
        assert_eq!(ids(&journal), whole_lines, "{length}");
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let steps = prop::sample::select(vec![
        FaultStep::Issued,
        FaultStep::Verified,
        FaultStep::RevertFailed,
        FaultStep::Restored,
    ]);
    prop_oneof![
        (0_usize..4).prop_map(captured),
        ((0_usize..4), steps).prop_map(|(id, to)| step(id, to)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_journal_cut_off_anywhere_is_a_prefix_of_what_was_written(
        records in prop::collection::vec(any_record(), 0..6),
    ) {
        let whole = bytes(&records);
        for length in 0..=whole.len() {
            let journal = Journal::parse(&whole[..length]);
            prop_assert!(journal.damaged.is_empty());
            prop_assert!(records.starts_with(&journal.records));
            // Never an undo that was not written: what is left is what is left of some prefix.
            let expected = Journal { records: journal.records.clone(), ..Journal::default() };
            prop_assert_eq!(journal.leftovers(), expected.leftovers());
            for left in journal.leftovers() {
                prop_assert_eq!(left.undo, undo(&format!("target-{}", left.id)));
            }
        }
    }

    #[test]
    fn a_changed_byte_never_makes_another_record(
        records in prop::collection::vec(any_record(), 1..5),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
    ) {
        let mut changed = bytes(&records);
        let at = at.index(changed.len());
        changed[at] ^= flip;
        let journal = Journal::parse(&changed);
        for record in &journal.records {
            prop_assert!(records.contains(record));
        }
        prop_assert!(journal.records.len() >= records.len().saturating_sub(2));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Journal::parse(&bytes).records.is_empty());
    }
}
