//! A project that tests kill and damage: a file with two people, a rule, and a model of them.

use std::process::Command;

use crate::support::{Project, people};

/// A file with two people, a rule, and a model of them.
pub(crate) struct People {
    pub(crate) project: Project,
    pipeline: String,
}

impl People {
    /// `model` is the file of a model that selects the people, without its extension.
    pub(crate) fn new(model: &str) -> Self {
        let project = Project::new(1);
        project.write("people.csv", "id,name\n1,Ana\n2,Rui\n");
        project.write(&format!("sql/{model}.sql"), "SELECT id, name FROM clean_people.people");
        let rest = "[[rule]]\nplugin = \"text\"\nstreams = [\"people.people\"]\n[rule.config.columns]\nname = [\"upper\"]\n\
                    [marts]\npath = \"sql\"\n";
        let pipeline = project.write("pipeline.toml", &people("", &["id", "name"], rest));
        let pipeline = pipeline.to_str().expect("a path in UTF-8").to_owned();
        Self { project, pipeline }
    }

    /// A command of the pipeline: its name, then further arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.project.command(&[&[arguments[0], &self.pipeline], &arguments[1..]].concat())
    }

    /// Changes a person and adds one.
    pub(crate) fn change(&self) {
        self.project.write("people.csv", "id,name\n1,Ana Maria\n2,Rui\n3,Eva\n");
    }
}
