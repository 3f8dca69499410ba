"""The report's figures: values in, markup out; colours come from `page.css`."""
