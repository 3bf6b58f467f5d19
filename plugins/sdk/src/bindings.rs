//! The contract as Rust types, generated from `wit/`. Plugin code does not use this module.

pub mod source_plugin {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "source-plugin",
        pub_export_macro: true,
        export_macro_name: "export_source_component",
        default_bindings_module: "plugin_sdk::bindings::source_plugin",
    });
}

pub mod rule_plugin {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "rule-plugin",
        pub_export_macro: true,
        export_macro_name: "export_rule_component",
        default_bindings_module: "plugin_sdk::bindings::rule_plugin",
        with: {
            "elt:plugin/types@0.1.0": crate::bindings::source_plugin::elt::plugin::types,
            "elt:plugin/files@0.1.0": crate::bindings::source_plugin::elt::plugin::files,
        },
    });
}
