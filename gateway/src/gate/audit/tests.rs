#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Instant;

use super::chain::Fault;
use super::files::LogFile;
use super::line::{Draft, INTENT, Kind, Link, Outcome, Position, number_behind};
use super::log::{Keeping, Known, Log};
use super::*;
use crate::gate::json;

const FRESH: Known = Known { start: Position::START, head: Position::START };

/// Files of a few lines each, all kept.
const SMALL: Keeping = Keeping { file_size: 600, files: None };

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn notes(count: usize) -> Vec<Draft> {
    (0..count).map(|n| Draft::now(Kind::Note, format!(",\"why\":\"line {n}\"").into())).collect()
}

fn append(log: &mut Log, drafts: &[Draft]) -> Position {
    *log.append(drafts.iter(), true).unwrap().positions.last().unwrap()
}

/// A log of 20 lines in several files, and what the store knows of it.
fn twenty_lines(dir: &Path) -> Known {
    let (mut log, torn) = Log::open(dir, FRESH, SMALL).unwrap();
    assert_eq!(torn, 0);
    let mut head = Position::START;
    for draft in notes(20) {
        head = append(&mut log, &[draft]);
    }
    assert_eq!(head.seq, 20);
    assert!(files_of(dir).len() > 4);
    Known { start: Position::START, head }
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    LogFile::all(dir).unwrap().into_iter().map(|file| file.path).collect()
}

/// The lines of a file, with their line breaks, changed.
fn change(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let text = fs::read_to_string(path).unwrap();
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    change(&mut lines);
    fs::write(path, lines.concat()).unwrap();
}

fn faults(dir: &Path, known: Known) -> Vec<String> {
    verify::verify(dir, known).unwrap().faults.iter().map(Fault::to_string).collect()
}

/// What is wrong with a log of 20 lines after `harm` was done to its files.
fn harmed(harm: impl FnOnce(&[PathBuf])) -> Vec<String> {
    let dir = directory();
    let known = twenty_lines(dir.path());
    assert_eq!(faults(dir.path(), known), [""; 0]);
    harm(&files_of(dir.path()));
    faults(dir.path(), known)
}

#[test]
fn verify_finds_an_edited_line() {
    let found = harmed(|files| change(&files[1], |lines| lines[1] = lines[1].replace("line", "lime")));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("line 2 of 0000000000000000000") && found[0].contains("edited"), "{found:?}");

    // With a hash that fits to what it says now, the next line no longer follows.
    let found = harmed(|files| {
        change(&files[1], |lines| {
            let before = Link::read(lines[0].trim_end().as_bytes()).unwrap().position();
            let mut forged = Vec::new();
            Draft::note("nothing happened").write(before, None, &mut forged);
            lines[1] = String::from_utf8(forged).unwrap();
        });
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("or the hash of the one before"), "{found:?}");

    let found = harmed(|files| change(&files[1], |lines| lines[1] = "what?\n".to_owned()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("is no line of the log"), "{found:?}");
}

#[test]
fn verify_finds_a_removed_line() {
    let found = harmed(|files| change(&files[1], |lines| drop(lines.remove(1))));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("before line 2 of") && found[0].ends_with("was removed"), "{found:?}");

    let found = harmed(|files| fs::remove_file(&files[2]).unwrap());
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("numbers") && found[0].ends_with("were removed"), "{found:?}");

    let found = harmed(|files| fs::remove_file(&files[0]).unwrap());
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("numbers 1 to"), "{found:?}");
}

#[test]
fn verify_finds_lines_in_another_order() {
    let found = harmed(|files| change(&files[1], |lines| lines.swap(0, 1)));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("stands out of order"), "{found:?}");

    let found = harmed(|files| {
        let (one, other) = (fs::read(&files[1]).unwrap(), fs::read(&files[2]).unwrap());
        fs::write(&files[1], other).unwrap();
        fs::write(&files[2], one).unwrap();
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("stand out of order"), "{found:?}");

    let found = harmed(|files| change(&files[1], |lines| lines.insert(2, lines[0].clone())));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("stands once more"), "{found:?}");
}

#[test]
fn verify_finds_a_cut_and_a_rewritten_end() {
    let found = harmed(|files| change(files.last().unwrap(), |lines| drop(lines.pop())));
    assert_eq!(found, ["the log was cut: it ends with line number 19, the database knows of number 20"]);
    let found = harmed(|files| fs::remove_file(files.last().unwrap()).unwrap());
    assert!(found.len() == 1 && found[0].starts_with("the log was cut"), "{found:?}");
    let found = harmed(|files| {
        let last = files.last().unwrap();
        let length = fs::metadata(last).unwrap().len();
        fs::File::options().write(true).open(last).unwrap().set_len(length - 1).unwrap();
    });
    assert_eq!(found, ["the log was cut: it ends with line number 19, the database knows of number 20"]);

    let dir = directory();
    twenty_lines(dir.path());
    let other = directory();
    let known = twenty_lines(other.path());
    assert_eq!(
        faults(dir.path(), known),
        ["the log was rewritten: the database knows another line number 20"]
    );
}

#[test]
fn the_log_opens_only_where_it_goes_on_from_what_the_store_knows() {
    let opened = |dir: &Path, known| Log::open(dir, known, SMALL).map(|(log, torn)| (log.last(), torn));
    let dir = directory();
    let known = twenty_lines(dir.path());
    assert_eq!(opened(dir.path(), known).unwrap(), (known.head, 0));

    let last = files_of(dir.path()).pop().unwrap();
    let whole = fs::read(&last).unwrap();
    fs::write(&last, &whole[..whole.len() - 20]).unwrap();
    let error = opened(dir.path(), known).unwrap_err().to_string();
    assert!(error.contains("was cut") && error.contains("runeward audit accept"), "{error}");
    let at = whole.len() - 100;
    fs::write(&last, [&whole[..at], b"x", &whole[at + 1..]].concat()).unwrap();
    let error = opened(dir.path(), known).unwrap_err().to_string();
    assert!(error.contains("edited"), "{error}");
    let error = opened(directory().path(), known).unwrap_err().to_string();
    assert!(error.contains("it ends with line number 0"), "{error}");

    // What a crash can leave behind: lines that the store does not vouch for yet, the last unfinished.
    fs::write(&last, &whole).unwrap();
    let (mut log, _) = Log::open(dir.path(), known, SMALL).unwrap();
    let newest = append(&mut log, &notes(3));
    let last = files_of(dir.path()).pop().unwrap();
    let longer = fs::read(&last).unwrap();
    fs::write(&last, [&longer[..], b"{\"time\":\"20"].concat()).unwrap();
    assert_eq!(opened(dir.path(), known).unwrap(), (newest, 11));
    assert_eq!(opened(dir.path(), known).unwrap(), (newest, 0));
    assert_eq!(faults(dir.path(), known), [""; 0]);
}

#[test]
fn a_database_older_than_the_log_is_told_from_a_crash() {
    let dir = directory();
    let known = twenty_lines(dir.path());
    let (mut log, _) = Log::open(dir.path(), known, SMALL).unwrap();
    let head = append(&mut log, &notes(2));
    assert!(Log::open(dir.path(), known, SMALL).is_ok(), "the store may just not have got to it");
    log.vouched(head.seq);
    append(&mut log, &notes(1));
    match Log::open(dir.path(), known, SMALL) {
        Err(AuditError::OldDatabase { head: 20, committed: 22 }) => {}
        other => panic!("{other:?}"),
    }
    assert!(Log::open(dir.path(), Known { head, ..known }, SMALL).is_ok());
}

#[test]
fn what_is_kept_no_longer_leaves_a_log_that_verifies() {
    let dir = directory();
    let known = twenty_lines(dir.path());
    let all = files_of(dir.path()).len();
    let (log, _) = Log::open(dir.path(), known, Keeping { files: Some(2), ..SMALL }).unwrap();
    let (start, paths) = log.surplus().unwrap().unwrap();
    assert_eq!(paths.len(), all - 2);
    let known = Known { start, ..known };
    let verified = verify::verify(dir.path(), known).unwrap();
    assert_eq!((verified.files, verified.older_files, verified.faults.len()), (2, all - 2, 0));
    paths.iter().for_each(|path| fs::remove_file(path).unwrap());
    assert_eq!(faults(dir.path(), known), [""; 0]);
    assert!(log.surplus().unwrap().is_none_or(|(_, paths)| paths.is_empty()));
    assert!(Log::open(dir.path(), known, SMALL).is_ok());
    fs::remove_file(&files_of(dir.path())[0]).unwrap();
    assert!(faults(dir.path(), known)[0].ends_with("removed"));
}

fn subject<'a>(rune: u64, method: &'a str, peer: &'a str, params: Fingerprints) -> Subject<'a> {
    let class = Some(if method == "pay" { "spend" } else { "read" });
    let (address, name) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Some("phone"));
    Subject {
        peer,
        address,
        begun: Instant::now(),
        rune: Some(rune),
        name,
        method: Some(method),
        class,
        params,
    }
}

async fn opened(path: &Path) -> (StateDir, Store, Audit) {
    let dir = StateDir::open(path).unwrap();
    let store = Store::open(&dir).await.unwrap();
    let audit = Audit::open(&dir, &store, None).await.unwrap();
    (dir, store, audit)
}

fn entries(found: &Found) -> Vec<Entry<'_>> {
    found.lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[tokio::test]
async fn intents_are_on_disk_before_they_are_told_and_found_by_what_was_paid() {
    let path = directory();
    let (dir, store, audit) = opened(path.path()).await;
    let secret = "lnbc10n1secret";
    let params = r#"{ "bolt11":"lnbc10n1secret", "label":"rent"}"#;
    let pay = subject(7, "pay", "02aa", audit.fingerprints(&json::parse(params).unwrap(), None));
    let mut record = audit.begin(&pay, true).await.unwrap();
    let receipt = record.receipt().unwrap();

    // On disk, and the store vouches for it, with nothing closed yet.
    let verified = verify(&dir, &store).await.unwrap();
    assert!(verified.faults.is_empty() && verified.last >= 1);
    let (_, head) = store.audit().await.unwrap().unwrap();
    let shown = receipted(&dir, &receipt, Some(params)).unwrap().unwrap();
    assert_eq!(Link::read(&shown.intent).unwrap().seq, head.seq);
    assert!(shown.params_match && shown.outcome.is_none());
    for others in [r#"{"bolt11":"lnbc10n1secret","label":"rents"}"#, "{}", "{"] {
        assert!(!receipted(&dir, &receipt, Some(others)).unwrap().unwrap().params_match);
    }
    assert!(receipted(&dir, &receipt.replace(|_| true, "0"), None).unwrap().is_none());

    record.replied(br#"{"jsonrpc":"2.0","id":1,"error":{"code":205,"message":"no route"}}"#);
    drop(record);
    let read = audit.begin(&subject(8, "getinfo", "02bb", Fingerprints::default()), false).await.unwrap();
    assert_eq!(read.receipt(), None);
    drop(read);
    drop(audit.refuse(&subject(8, "pay", "02bb", Fingerprints::default()), 19537, "revoked", false));
    audit.close().await;

    let query = |query: Query| Query { limit: 100, ..query };
    let by_value =
        search(&dir, &query(Query { find: Some("rent".to_owned()), ..Query::default() }), 2).unwrap();
    let lines = entries(&by_value);
    assert_eq!(lines.iter().map(|line| line.kind).collect::<Vec<_>>(), ["intent", "outcome"]);
    assert_eq!((lines[1].code, lines[1].bytes), (Some(205), Some(66)));
    let intent = Link::read(&by_value.lines[0]).unwrap().seq;
    assert_eq!(number_behind(INTENT, &by_value.lines[1]), Some(intent));
    assert!(receipted(&dir, &receipt, None).unwrap().unwrap().outcome.is_some());

    let kinds = |criteria: Query| -> Vec<String> {
        entries(&search(&dir, &query(criteria), 1).unwrap()).iter().map(|line| line.kind.to_owned()).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(kinds(Query { rune: text("7"), ..Query::default() }), ["intent", "outcome"]);
    assert_eq!(kinds(Query { rune: text("7"), merged: true, ..Query::default() }), ["outcome"]);
    assert_eq!(kinds(Query { rune: text("phone"), class: text("read"), ..Query::default() }), ["call"]);
    assert_eq!(kinds(Query { peer: text("02b"), ..Query::default() }), ["call", "refusal"]);
    assert_eq!(kinds(Query { method: text("pay"), peer: text("02bb"), ..Query::default() }), ["refusal"]);
    assert_eq!(kinds(Query { find: text(secret), until: text("2000"), ..Query::default() }), [""; 0]);
    assert_eq!(kinds(Query { since: text("2000"), until: text("9"), ..Query::default() }).len(), 6);
    let newest = search(&dir, &Query { limit: 2, ..Query::default() }, 1).unwrap();
    assert!(newest.more);
    assert_eq!(entries(&newest)[1].why, Some("stopped"));

    let all: Vec<u8> = files_of(&dir.audit()).iter().flat_map(|path| fs::read(path).unwrap()).collect();
    for hidden in [secret, "rent"] {
        assert!(memchr::memmem::find(&all, hidden.as_bytes()).is_none());
    }
    store.close().await;
}

#[tokio::test]
async fn many_intents_share_what_it_takes_to_write_them() {
    let path = directory();
    let (dir, store, audit) = opened(path.path()).await;
    let audit = Arc::new(audit);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..500 {
        let audit = Arc::clone(&audit);
        calls.spawn(async move {
            let pay = subject(n, "pay", "02aa", Fingerprints::default());
            audit.begin(&pay, true).await.unwrap().replied(b"{}");
        });
    }
    calls.join_all().await;
    audit.close().await;
    let verified = verify(&dir, &store).await.unwrap();
    assert!(verified.faults.is_empty());
    assert_eq!(verified.lines, 2 * 500 + 2);
    let query = Query { method: Some("pay".to_owned()), merged: true, limit: 2000, ..Query::default() };
    assert_eq!(search(&dir, &query, 2).unwrap().lines.len(), 500);
    store.close().await;

    // Opened again it goes on where it ended.
    let (dir, store, audit) = opened(path.path()).await;
    audit.close().await;
    let verified = verify(&dir, &store).await.unwrap();
    assert_eq!((verified.lines, verified.faults.len()), (2 * 500 + 4, 0));
}

#[tokio::test]
async fn a_flood_of_strangers_is_counted_not_told() {
    let path = directory();
    let (dir, store, audit) = opened(path.path()).await;
    for _ in 0..5000 {
        let stranger = subject(1, "getinfo", "02aa", Fingerprints::default());
        drop(audit.refuse(&stranger, 19537, "not derived", true));
    }
    audit.close().await;
    let found = search(&dir, &Query { limit: 10_000, ..Query::default() }, 1).unwrap();
    let lines = entries(&found);
    let told = lines.iter().filter(|line| line.kind == "refusal").count() as u64;
    let untold: u64 = lines.iter().filter_map(|line| line.lines).sum();
    assert_eq!(told + untold, 5000);
    assert!((1000..2000).contains(&told), "{told}");
    store.close().await;
}

#[tokio::test]
async fn a_store_without_memory_beside_a_log_is_refused_until_that_is_accepted() {
    let path = directory();
    let (dir, store, audit) = opened(path.path()).await;
    audit.close().await;
    store.close().await;
    for name in ["runeward.db", "runeward.db-wal", "runeward.db-shm"] {
        let _ = fs::remove_file(path.path().join(name));
    }
    let store = Store::open(&dir).await.unwrap();
    let error = Audit::open(&dir, &store, None).await.unwrap_err();
    assert!(matches!(error, AuditError::OldDatabase { .. }), "{error}");
    store.bind("authority", "own").await.unwrap();
    assert!(accept(&dir, &store).await.is_err(), "what was revoked would be good again");
    assert!(accept_old_database(&dir, &store).await.unwrap());
    assert!(!accept(&dir, &store).await.unwrap(), "nothing is wrong any more");
    let audit = Audit::open(&dir, &store, None).await.unwrap();
    audit.close().await;
    let verified = verify(&dir, &store).await.unwrap();
    assert_eq!((verified.lines, verified.older_files, verified.faults.len()), (3, 1, 0));
    store.close().await;
}

/// Found among a million lines, however it is asked; how long that takes is printed.
#[test]
fn a_million_lines_are_searched() {
    const LINES: u64 = 1_000_000;
    let path = directory();
    let key = AuditKey::new(&[1; 32]);
    let (mut log, _) = Log::open(path.path(), FRESH, Keeping { file_size: FILE_SIZE, files: None }).unwrap();
    let members: Vec<Vec<u8>> = (0..1000)
        .map(|n| {
            let params = key.params(&json::parse(&format!("[\"label {n}\",{n}]")).unwrap());
            let peer = format!("02{n:064}");
            let method = if n % 10 == 0 { "pay" } else { "listinvoices" };
            let mut members = subject(n, method, &peer, params).members();
            Outcome::Done.write(&mut members);
            members.extend_from_slice(b",\"duration_us\":5,\"bytes\":9");
            members
        })
        .collect();
    let mut at = 0;
    while at < LINES {
        let drafts: Vec<Draft> = members
            .iter()
            .map(|members| {
                at += 1;
                Draft { at: at * 86, kind: Kind::Call, members: members.clone() }
            })
            .collect();
        log.append(drafts.iter(), false).unwrap();
    }
    let text = |text: &str| Some(text.to_owned());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for (query, expected) in [
        (Query { find: text("label 7"), ..Query::default() }, 1000),
        (Query { rune: text("777"), ..Query::default() }, 1000),
        (Query { rune: text("10"), method: text("pay"), ..Query::default() }, 1000),
        (Query { peer: text(&format!("02{:064}", 3)), class: text("spend"), ..Query::default() }, 0),
        (Query { find: text("nowhere"), ..Query::default() }, 0),
        (Query { method: text("pay"), ..Query::default() }, 100_000),
        (Query { since: text("1970-01-01T12"), ..Query::default() }, 497_675),
    ] {
        let begun = Instant::now();
        let found =
            search::search(path.path(), &key, &Query { limit: 1_000_000, ..query.clone() }, threads).unwrap();
        println!("{:?} for {query:?}", begun.elapsed());
        assert_eq!(found.lines.len(), expected, "{query:?}");
    }
}
