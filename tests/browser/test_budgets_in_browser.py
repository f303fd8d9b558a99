"""The settings page's budgets: one is set, what is left is said, and what is no amount is refused."""

import json
import os
from pathlib import Path

from wan_duet.dev.server import Server
from wan_duet.tests.browser.editor import Editor
from wan_duet.tests.browser.test_keys_in_browser import enter_code


def test_a_budget_is_set_and_what_is_left_of_it_is_said(editor: Editor, server: Server, tmp_path: Path) -> None:
    file = server.base / "user" / "__wan_duet" / "budgets.json"
    file.unlink(missing_ok=True)
    editor.errors.clear()
    editor.page.evaluate("() => app.extensionManager.command.execute('Comfy.ShowSettingsDialog')")
    dialog = editor.page.get_by_role("dialog")
    dialog.get_by_text("Wan Duet", exact=True).first.click()
    try:
        field = dialog.get_by_role("spinbutton", name="Rivya budget a day")
        row = field.locator("..")
        row.get_by_text("0 left today").wait_for()
        field.fill("36.5")
        row.get_by_role("button").click()
        enter_code(row, server)
        row.get_by_text("36.5 left today").wait_for()
        editor.page.screenshot(path=Path(os.environ.get("WAN_DUET_LOOK", tmp_path), "budgets.png"))
        assert json.loads(file.read_text(encoding="utf-8")) == {"rivya": 36.5}
        assert editor.errors == []
        field.fill("-1")
        row.get_by_role("button").click()
        enter_code(row, server)
        row.get_by_text("which is no amount").wait_for()
        assert json.loads(file.read_text(encoding="utf-8")) == {"rivya": 36.5}
    finally:
        file.unlink(missing_ok=True)
        editor.page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
