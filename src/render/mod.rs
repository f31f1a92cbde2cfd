//! Tables and figures to text and bytes. Nothing here sees a store, prints or opens a file.

pub mod torch_table;
