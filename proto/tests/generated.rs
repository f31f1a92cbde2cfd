//! The committed code is what the schema gives.

use std::path::Path;

#[test]
fn committed_code_is_generated_from_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(["perfetto.proto"], [root]).expect("the schema is valid");
    let folder = std::env::temp_dir().join(format!("omni-trace-proto-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
    prost_build::Config::new()
        .out_dir(&folder)
        .compile_fds(descriptors)
        .expect("the schema gives code");
    let made = std::fs::read_to_string(folder.join("perfetto.protos.rs")).expect("it was written");
    std::fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
    let path = root.join("src/perfetto.rs");
    if std::env::var_os("OMNI_TRACE_WRITE").is_some() {
        std::fs::write(&path, &made).expect("the source is writable");
    }
    let committed = std::fs::read_to_string(&path).expect("the source is there");
    assert!(
        committed == made,
        "run this test with OMNI_TRACE_WRITE=1 and commit {}",
        path.display()
    );
}
