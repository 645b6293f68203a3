use super::*;
use mainspring_core::Ctx;

const SET: MigrationSet = MigrationSet {
    domain: "notes",
    migrations: &[Migration {
        version: 1,
        name: "notes",
        sqlite: "CREATE TABLE notes (tenant TEXT NOT NULL, id INTEGER PRIMARY KEY, body TEXT)",
        postgres: "CREATE TABLE notes (tenant TEXT NOT NULL, id BIGINT PRIMARY KEY, body TEXT)",
    }],
};

#[tokio::test]
async fn a_write_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&DbSettings::sqlite(dir.path().join("a.db")), &[SET], &Ctx::system()).await.unwrap();
    db.write(|c| {
        async move {
            c.execute("INSERT INTO notes (id, body, tenant) VALUES ($2, $3, $1)", args!["default", 7, "hello"]).await
        }
        .boxed()
    })
    .await
    .unwrap();
    let row = db
        .read(|c| async move { c.query_opt("SELECT * FROM notes WHERE id = $1", args![7]).await }.boxed())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.text("body").unwrap(), "hello");
    assert_eq!(row.int("id").unwrap(), 7);
}
