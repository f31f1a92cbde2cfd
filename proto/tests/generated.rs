//! The committed generated code is what the schemas give. `BLESS=1` writes it.

use std::path::Path;

/// Each schema, the file that is generated from it, and what its types derive besides: the manifest is JSON too.
const SCHEMAS: [(&str, &str, &str); 2] = [
    (
        "capture_manifest.proto",
        "omni_trace.capture.v1.rs",
        "#[derive(serde::Serialize, serde::Deserialize)]",
    ),
    ("perfetto.proto", "perfetto.protos.rs", ""),
];

#[test]
fn generated_code_matches_the_schemas() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (schema, generated, derives) in SCHEMAS {
        let out = tempfile::tempdir().unwrap();
        let descriptors = protox::compile([schema], [root]).unwrap();
        prost_build::Config::new()
            .out_dir(out.path())
            .type_attribute(".", derives)
            .compile_fds(descriptors)
            .unwrap();
        let fresh = std::fs::read_to_string(out.path().join(generated)).unwrap();
        let committed = root.join("src/generated").join(generated);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&committed, &fresh).unwrap();
        }
        let kept = std::fs::read_to_string(&committed).unwrap_or_default();
        assert!(kept == fresh, "{generated} is not what {schema} gives: run with BLESS=1");
    }
}
