//! Compiles the C++ shim against the libtorch that torch-sys found, and sets the run-time search path of the program.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    // torch-sys declares `links = "tch"` and prints its library directory; it exports no include path.
    let lib = std::env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from).unwrap_or_else(|| {
        panic!("DEP_TCH_LIBTORCH_LIB is not set: torch-sys has to be a direct dependency")
    });
    let include = lib.with_file_name("include");
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".into());
    cc::Build::new()
        .cpp(true)
        .pic(true)
        .warnings(false)
        .opt_level(1)
        .debug(false)
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        // profiler_kineto.h includes <ActivityType.h> from there.
        .include(include.join("kineto"))
        .flag("-std=c++17")
        .flag(format!("-D_GLIBCXX_USE_CXX11_ABI={abi}"))
        .define("USE_KINETO", None)
        .file("shim/shim.cpp")
        .file("shim/collective.cpp")
        .compile("omnicapshim");
    // RUNPATH rather than RPATH: on another machine LD_LIBRARY_PATH has to win.
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{}", lib.display());
}
