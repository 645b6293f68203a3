//! A Postgres that is reached but does not answer, and statements that do not end.

use mainspring_core::{Ctx, ErrorKind, Failure, Secret, Tasks};
use mainspring_store::{Conn, Db, DbSettings, FutureExt, StoreError, args};
use mainspring_testkit::db::{SUITE, execute, number, query};
use mainspring_testkit::{PgServer, eventually};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const INSERT: &str = "INSERT INTO parents (id, name) VALUES ($1, $2)";
const IN_TRANSACTION: &str = "SELECT count(*) AS n FROM pg_stat_activity \
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'";

/// Stands between a client and Postgres. Once a word was sent towards the server, its answers wait
/// until they are let through.
struct Between {
    address: std::net::SocketAddr,
    mute_after: watch::Sender<&'static str>,
    muted: Arc<watch::Sender<bool>>,
}

impl Between {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let between = Self { address, mute_after: watch::Sender::new(""), muted: Arc::new(watch::Sender::new(false)) };
        let (word, muted) = (between.mute_after.subscribe(), Arc::clone(&between.muted));
        let tasks = Tasks::new();
        let each = tasks.clone();
        drop(tasks.spawn("between", async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = TcpStream::connect(&server).await.unwrap().into_split();
                drop(each.spawn("asks", asks(from_client, to_server, word.clone(), Arc::clone(&muted))));
                drop(each.spawn("answers", answers(from_server, to_client, muted.subscribe())));
            }
        }));
        between
    }

    fn silence_after(&self, word: &'static str) {
        self.mute_after.send_replace(word);
    }

    fn let_through(&self) {
        self.mute_after.send_replace("");
        self.muted.send_replace(false);
    }
}

async fn asks(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    word: watch::Receiver<&'static str>,
    muted: Arc<watch::Sender<bool>>,
) {
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let word = *word.borrow();
        if !word.is_empty() && buffer[..n].windows(word.len()).any(|w| w == word.as_bytes()) {
            muted.send_replace(true);
        }
        if to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
}

async fn answers(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut muted: watch::Receiver<bool>) {
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if muted.wait_for(|muted| !muted).await.is_err() || to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
}

/// A database behind a [`Between`], with one connection; and the same database without it.
async fn behind() -> (PgServer, Between, Db, Db) {
    let server = tokio::task::spawn_blocking(PgServer::start).await.unwrap();
    let direct = server.database();
    let host = direct.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap().to_owned();
    let between = Between::start(host.clone()).await;
    let through = direct.replace(&host, &between.address.to_string());
    let settings = DbSettings::postgres(Secret::new(through)).connections(1).wait(Duration::from_secs(3));
    let settings = settings.statement(Duration::from_secs(2));
    let db = Db::open(&settings, &[SUITE], &Ctx::system()).await.unwrap();
    let direct = Db::open(&DbSettings::postgres(Secret::new(direct)), &[SUITE], &Ctx::system()).await.unwrap();
    (server, between, db, direct)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begin_that_is_given_up_leaves_no_transaction_behind() {
    let (_server, between, db, direct) = behind().await;
    for begin in ["READ WRITE", "READ ONLY"] {
        between.silence_after(begin);
        let failed = match begin {
            "READ WRITE" => execute(&db, INSERT, args![1, "never"]).await.map(drop),
            _ => query(&db, "SELECT id FROM parents", Vec::new()).await.map(drop),
        };
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable, "{begin}");
        between.let_through();
        eventually("no connection stays in a transaction", || async { number(&direct, IN_TRANSACTION).await == 0 })
            .await;
    }
    // The pool's one connection is a new one, and what it writes stands at once.
    execute(&db, INSERT, args![2, "kept"]).await.unwrap();
    assert_eq!(number(&direct, "SELECT sum(id) AS n FROM parents").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_given_up_in_the_middle_leaves_no_transaction_behind() {
    let (_server, _between, db, direct) = behind().await;
    let (inside, is_inside) = tokio::sync::oneshot::channel();
    let write = db.write(move |c: &mut Conn| {
        async move {
            c.execute(INSERT, args![1, "half"]).await?;
            inside.send(()).unwrap();
            std::future::pending::<()>().await;
            Ok::<_, StoreError>(())
        }
        .boxed()
    });
    tokio::select! {
        _ = write => panic!("it waits for ever"),
        inside = is_inside => inside.unwrap(),
    }
    eventually("no connection stays in a transaction", || async { number(&direct, IN_TRANSACTION).await == 0 }).await;
    execute(&db, INSERT, args![1, "whole"]).await.unwrap();
    assert_eq!(number(&direct, "SELECT count(*) AS n FROM parents").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_does_not_end_is_ended() {
    let (_server, _between, db, _direct) = behind().await;
    let begun = Instant::now();
    let failed = query(&db, "SELECT 1 AS n FROM pg_sleep(60)", Vec::new()).await.unwrap_err();
    assert!(matches!(failed, StoreError::Busy { .. }), "{failed:?}");
    assert!(failed.to_string().contains("statement timeout"), "{failed}");
    assert!(begun.elapsed() < Duration::from_secs(50));
    // The connection answered, so it is as good as before.
    assert_eq!(number(&db, "SELECT count(*) AS n FROM parents").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let (_server, between, db, direct) = behind().await;
    between.silence_after("INSERT");
    let begun = Instant::now();
    let failed = execute(&db, INSERT, args![1, "unheard"]).await.unwrap_err();
    assert!(matches!(&failed, StoreError::Unavailable { reason, .. } if reason.contains("no answer")), "{failed:?}");
    assert!(begun.elapsed() < Duration::from_secs(50));
    between.let_through();
    eventually("it was rolled back", || async { number(&direct, IN_TRANSACTION).await == 0 }).await;
    execute(&db, INSERT, args![1, "heard"]).await.unwrap();
    assert_eq!(number(&direct, "SELECT count(*) AS n FROM parents").await, 1);
}
