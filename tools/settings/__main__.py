"""Make the tables of `docs/settings.md` and the JSON Schema anew: `./dev schema`."""

from __future__ import annotations

from tools.settings import jsonschema, page

page.PAGE.write_text(page.filled(page.PAGE.read_text()))
jsonschema.FILE.write_text(jsonschema.text())
print(page.PAGE, jsonschema.FILE, sep="\n")
