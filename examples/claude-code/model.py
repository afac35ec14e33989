"""A model for the example: it counts the stock, makes a file, and ends. It says its address and serves until it is ended."""

import sys
import threading

sys.path.insert(0, sys.argv[1])

from scripted_model import ScriptedModel  # noqa: E402

model = ScriptedModel()
model.play(("tool", "Bash", {"command": "cat stock.txt"}), ("tool", "Bash", {"command": "touch counted"}))
print(model.url, flush=True)
threading.Event().wait()
