//! The markup of the page.

use std::fmt::Write;
use std::path::Path;

use super::Heading;
use super::frames::{Frame, Raised};

/// Characters of one line of source.
const LONGEST_LINE: usize = 400;
/// Characters of a message, or of the traceback as text.
const LONGEST_TEXT: usize = 100_000;

pub(super) fn page(
    heading: Option<Heading<'_>>,
    chain: &[Raised],
    text: &str,
    folder: &Path,
) -> String {
    let title = match (&heading, chain.last()) {
        (Some(heading), _) => heading.title,
        (None, Some(raised)) => &raised.title,
        (None, None) => "an exception",
    };
    let mut out = String::with_capacity(16 << 10);
    // Writing to a string cannot fail.
    let _ = draw(&mut out, (title, heading), chain, text, folder);
    out
}

fn draw(
    out: &mut String,
    (title, heading): (&str, Option<Heading<'_>>),
    chain: &[Raised],
    text: &str,
    folder: &Path,
) -> std::fmt::Result {
    // Of a syntax error the place comes first.
    let title = match title.starts_with(' ') {
        true => title.lines().find(|line| !line.starts_with(' ')),
        false => None,
    }
    .unwrap_or(title);
    let first_line = title.lines().next().unwrap_or_default();
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n<main>\n<h1>{}</h1>\n",
        Escaped(first_line, 200),
        Escaped(title, LONGEST_TEXT),
    )?;
    let about = heading.and_then(|heading| heading.about);
    if let Some(about) = about {
        writeln!(out, "<p>{}</p>", Escaped(about, LONGEST_TEXT))?;
    }
    if let Some(frame) = culprit(chain) {
        write!(out, "<p>at ")?;
        place(out, frame, folder)?;
        writeln!(out, "</p>")?;
    }
    for raised in chain {
        exception(out, raised, folder)?;
    }
    write!(
        out,
        "<details><summary>as text</summary><pre>{}</pre></details>\n\
         <footer>Shown by <code>appliance dev</code> alone. Frames of the project's own code are open.</footer>\n\
         </main>\n</html>\n",
        Escaped(text, LONGEST_TEXT)
    )
}

/// The innermost frame of the project's own code, or of any.
fn culprit(chain: &[Raised]) -> Option<&Frame> {
    let frames = &chain.last()?.frames;
    let own = frames.iter().rev().find(|frame| frame.is_own);
    own.or(frames.last())
}

fn exception(out: &mut String, raised: &Raised, folder: &Path) -> std::fmt::Result {
    if let Some(follows) = raised.follows {
        writeln!(out, "<p class=\"chain\">{follows}</p>")?;
    }
    let title = Escaped(&raised.title, LONGEST_TEXT);
    writeln!(out, "<section>\n<h2>{title}</h2>")?;
    // Where the frames that are left out were.
    let gap = (raised.left_out > 0).then_some(super::frames::FIRST);
    for (at, frame) in raised.frames.iter().enumerate() {
        if Some(at) == gap {
            let count = raised.left_out;
            writeln!(out, "<p class=\"chain\">… {count} more frames …</p>")?;
        }
        let (open, class) = match frame.is_own {
            true => (" open", "own"),
            false => ("", "other"),
        };
        write!(out, "<details class=\"{class}\"{open}><summary>")?;
        place(out, frame, folder)?;
        writeln!(out, "</summary>")?;
        source(out, frame)?;
        writeln!(out, "</details>")?;
    }
    writeln!(out, "</section>")
}

fn place(out: &mut String, frame: &Frame, folder: &Path) -> std::fmt::Result {
    let file = Path::new(&frame.file);
    let shown = match file.strip_prefix(folder) {
        Ok(inside) if frame.is_own => inside.display().to_string(),
        _ => frame.file.clone(),
    };
    let shown = Escaped(&shown, LONGEST_LINE);
    write!(out, "<code>{shown}</code>, line {}", frame.line)?;
    match &frame.function {
        Some(name) => write!(out, ", in <code>{}</code>", Escaped(name, LONGEST_LINE)),
        None => Ok(()),
    }
}

fn source(out: &mut String, frame: &Frame) -> std::fmt::Result {
    let (first, lines) = &frame.source;
    if lines.is_empty() {
        return writeln!(out, "<p>There is no source.</p>");
    }
    write!(out, "<pre>")?;
    for (number, line) in (*first..).zip(lines) {
        let tag = if number == frame.line { "mark" } else { "span" };
        let line = Escaped(line.trim_end(), LONGEST_LINE);
        writeln!(out, "<{tag}><i>{number:>5}</i>  {line}</{tag}>")?;
    }
    writeln!(out, "</pre>")
}

/// Text that is only text, up to so many characters.
struct Escaped<'a>(&'a str, usize);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, c) in self.0.chars().enumerate() {
            if at == self.1 {
                return f.write_char('…');
            }
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if c.is_control() && c != '\n' && c != '\t' => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

const STYLE: &str = ":root{color-scheme:light dark;--faint:light-dark(#5c6470,#9aa4b2);--line:light-dark(#d8dde3,#39414d);\
--hit:light-dark(#ffe2dd,#5a2320);--own:light-dark(#b3261e,#ff8a80);--code:light-dark(#f5f7f9,#191d23)}\
body{margin:0;font:15px/1.5 system-ui,sans-serif;background:light-dark(#fff,#101317);color:light-dark(#14181d,#e6e9ee)}\
main{max-width:64rem;margin:0 auto;padding:1.5rem 1rem 3rem}\
h1{font-size:1.35rem;line-height:1.35;margin:0 0 .5rem;white-space:pre-wrap;overflow-wrap:anywhere}\
h2{font-size:1rem;margin:2rem 0 .5rem;white-space:pre-wrap;overflow-wrap:anywhere}\
section h2,h1,pre,code{font-family:ui-monospace,monospace}code{font-size:.92em;overflow-wrap:anywhere}\
details{border-top:1px solid var(--line);padding:.35rem 0}summary{cursor:pointer;color:var(--faint)}\
.own>summary{color:inherit;font-weight:600}.own>summary code:first-child{color:var(--own)}\
pre{margin:.4rem 0 .6rem;padding:.5rem 0;overflow-x:auto;background:var(--code);font-size:.85rem;line-height:1.5}\
pre span,pre mark{display:inline-block;min-width:100%;box-sizing:border-box;padding:0 .75rem}\
pre mark{background:var(--hit);color:inherit;font-weight:600}pre i{font-style:normal;color:var(--faint);user-select:none}\
details:not([class])>pre{padding:.5rem .75rem;white-space:pre-wrap}\
.chain,footer{color:var(--faint);margin:1.25rem 0}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_project_is_markup() {
        let hostile = "</title></pre><script>alert('1')</script>&\u{1b}\"";
        let raised = Raised {
            title: hostile.to_owned(),
            frames: vec![Frame {
                file: format!("/srv/{hostile}"),
                line: 1,
                function: Some(hostile.to_owned()),
                is_own: true,
                source: (1, vec![hostile.to_owned()]),
            }],
            left_out: 0,
            follows: None,
        };
        let heading = Heading {
            title: hostile,
            about: Some(hostile),
        };
        let page = page(Some(heading), &[raised], hostile, Path::new("/srv"));
        assert!(
            !page.contains("<script") && !page.contains('\u{1b}'),
            "{page}"
        );
        assert_eq!(page.matches("&lt;script&gt;alert(&#39;1&#39;)").count(), 10);
        assert_eq!(page.matches("</title>").count(), 1);
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(Escaped("<é>x", 3).to_string(), "&lt;é&gt;…");
    }
}
