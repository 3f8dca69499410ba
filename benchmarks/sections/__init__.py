"""The sections of RESULTS.md, one file each: `section()` gives its Markdown."""
