"""What all HTML pages share: one base template and style sheet (:mod:`dflib.pages.html`), one style of figures
(:mod:`dflib.pages.figures`)."""
