//! The same small rule in Rust, JavaScript and Python: all clean alike.

use crate::support::{Project, people, stderr};

const DIRT: &str = "id,email\n1, ANA@EXEMPLO.COM \n2,\n3,joão.Ção@exemplo.com\n4,🩺@x.y\n";

#[test]
fn rules_in_every_language_give_the_same_rows() {
    let project = Project::new(10);
    project.write("people.csv", DIRT);
    let pipeline = |rule: &str| {
        let rule = format!(
            "[[rule]]\nplugin = \"{rule}\"\nstreams = [\"people.people\"]\nconfig = {{ column = \"email\" }}\n"
        );
        people("", &["id", "email"], &rule)
    };
    for rule in ["minimal-rule", "javascript-rule", "python-rule"] {
        let output = project.run_text(&pipeline(rule));
        assert!(output.status.success(), "{rule}: {}", stderr(&output));
        let rows = project.query("SELECT email FROM clean_people.people ORDER BY id");
        let emails: Vec<_> = rows.iter().map(|row| row["email"].as_str()).collect();
        let expected = [Some("ana@exemplo.com"), None, Some("joão.ção@exemplo.com"), Some("🩺@x.y")];
        assert_eq!(emails, expected, "{rule}");
        let wrong = pipeline(rule).replace("column = \"email\"", "column = \"e_mail\"");
        let output = project.run_text(&wrong);
        assert_eq!(output.status.code(), Some(2), "{rule}: {}", stderr(&output));
        assert!(stderr(&output).contains("`e_mail`"), "{rule}: {}", stderr(&output));
    }
}
