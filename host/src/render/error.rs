//! Renders an error: each problem with an excerpt of its file and its hint, causes before consequences.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use host_core::error::{Error, Place, Problem};

/// The most consequences that are listed below a cause; the others are counted.
const MAX_CONSEQUENCES: usize = 3;

/// The error as a command prints it.
#[must_use]
pub fn render_error(error: &Error) -> String {
    let problems = error.problems();
    let mut hints: Vec<&str> = Vec::new();
    let mut out = String::new();
    for problem in problems {
        out.push_str(&render_problem(problem));
        // A hint that several problems share is shown once.
        let own = problem.hint.iter().flat_map(|hint| hint.lines());
        for hint in own.filter(|hint| !hints.contains(hint)).collect::<Vec<_>>() {
            out.push_str(&format!("hint: {hint}\n"));
            hints.push(hint);
        }
    }
    if problems.len() > 1 {
        out.push_str(&format!("{} problems\n", problems.len()));
    }
    out
}

fn render_problem(problem: &Problem) -> String {
    // A line of a plugin's message does not look like a line of the host.
    let mut out = format!("error: {}\n", indented(&problem.to_string()));
    out.push_str(&problem.place.as_ref().and_then(excerpt).unwrap_or_default());
    let listed = problem.consequences.iter().take(MAX_CONSEQUENCES);
    out.extend(listed.map(|consequence| format!("  follows from it: {}\n", indented(&consequence.to_string()))));
    let all = problem.count_consequences();
    let rest = all.saturating_sub(problem.consequences.len().min(MAX_CONSEQUENCES));
    if rest > 0 {
        out.push_str(&format!("  and {rest} more that follow from it\n"));
    }
    out
}

/// A message whose lines after the first are indented.
fn indented(message: &str) -> String {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |all, line| {
        let indent = if line.starts_with("  ") { "" } else { "       " };
        format!("{all}\n{indent}{line}")
    })
}

/// The line of a place with a mark below the column. None if the place has no line or its text must not be shown.
fn excerpt(place: &Place) -> Option<String> {
    let (line, text) = (place.line?, place.excerpt.as_deref()?);
    let start = place
        .column
        .map_or(0, |column| text.char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| at));
    let rest = text.get(start..).unwrap_or_default();
    let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len());
    // A place without a column is the whole line, which needs no mark.
    let end = if place.column.is_some() { start + word.max(1).min(rest.len()) } else { start };
    let annotation = AnnotationKind::Primary.span(start..end);
    let snippet = Snippet::source(text).line_start(line).annotation(annotation);
    let rendered = Renderer::plain().render(&[Level::ERROR.no_name().primary_title("").element(snippet)]);
    // The title is the line that `render_problem` writes.
    let body: Vec<_> = rendered.lines().filter(|line| line.contains('|') && !line.contains("-->")).collect();
    (!body.is_empty()).then(|| body.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use host_core::error::{Error, Place};

    use super::render_error;

    #[test]
    fn a_problem_has_its_excerpt_and_its_hint() {
        let place = Place {
            file: "pipelines/hubspot.toml".to_owned(),
            line: Some(9),
            column: Some(1),
            excerpt: Some("curency = \"BRL\"".to_owned()),
        };
        let error = Error::config("unknown key `curency`").hint("did you mean `currency`?").at(&place);
        assert_eq!(
            render_error(&error),
            "error: pipelines/hubspot.toml:9:1: unknown key `curency`\n  |\n9 | curency = \"BRL\"\n  | ^^^^^^^\nhint: did you mean `currency`?\n"
        );
    }

    #[test]
    fn a_message_of_several_lines_is_one_problem() {
        let error = Error::plugin("no\nerror: all is well\nhint: send the token").hint("ask\nnobody");
        assert_eq!(
            render_error(&error),
            "error: no\n       error: all is well\n       hint: send the token\nhint: ask\nhint: nobody\n"
        );
    }

    #[test]
    fn causes_come_first_and_consequences_are_counted() {
        let follow = |number: usize| Error::data(format!("drill {number}"));
        let rate = Error::data("no exchange rate for USD").with_consequences((1..=12).map(follow).collect());
        let error = Error::all(vec![rate, Error::data("another").hint("fix it")]).expect("an error");
        let text = render_error(&error);
        assert!(text.starts_with("error: no exchange rate for USD\n  follows from it: drill 1\n"), "{text}");
        assert!(text.contains("  follows from it: drill 3\n  and 9 more that follow from it\nerror: another\nhint: fix it\n2 problems\n"), "{text}");
    }
}
