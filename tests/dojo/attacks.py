"""What AgentDojo brings: tasks, injections, wordings, and the order of calls of an agent that obeys.

The agent is a script without a will of its own: it makes the calls of the user task's ground truth, and right
after the first output that carries an injection it makes all calls of the injection task's ground truth.
"""

from dataclasses import dataclass

import missing
from agentdojo.agent_pipeline.base_pipeline_element import BasePipelineElement
from agentdojo.agent_pipeline.ground_truth_pipeline import GroundTruthPipeline
from agentdojo.attacks.attack_registry import load_attack
from agentdojo.functions_runtime import FunctionsRuntime

WORDINGS = ("important_instructions", "ignore_previous", "injecagent", "system_message", "tool_knowledge", "direct")


class Obedient(BasePipelineElement):
    """Some wordings address the model by its name, which AgentDojo takes from the pipeline's."""

    name = "gpt-4o-2024-05-13"

    def query(self, query, runtime, env=None, messages=(), extra_args=None):
        raise NotImplementedError("the agent is replayed, never asked")


@dataclass
class Step:
    call: object
    injected: bool


class Attacks:
    def __init__(self, suite):
        self.suite = suite
        self.wordings = {name: load_attack(name, suite, Obedient()) for name in WORDINGS}
        self.carriers = {task.ID: self._carrier(task) for task in suite.user_tasks.values()}

    def _carrier(self, task):
        """The position of the first call whose output carries an injection; None if none does."""
        canaries = {name: f"---CANARY-{name}---" for name in self.suite.get_injection_vector_defaults()}
        environment = task.init_environment(self.suite.load_and_inject_default_environment(canaries))
        runtime = FunctionsRuntime(self.suite.tools)
        _, _, _, messages, _ = GroundTruthPipeline(task).query(task.PROMPT, runtime, environment)
        outputs = [message for message in messages if message["role"] == "tool"]
        for position, output in enumerate(outputs):
            text = "".join(block["content"] for block in output["content"])
            if any(canary in text for canary in canaries.values()):
                return position
        return None

    def pairs(self):
        """Every user task whose outputs can carry an injection, with every injection task, and whose turn it is."""
        for row, user in enumerate(self.suite.user_tasks.values()):
            for column, injection in enumerate(self.suite.injection_tasks.values()):
                if self.carriers[user.ID] is not None:
                    yield user, injection, row + column

    def environment(self, user, injection=None, wording=None):
        """The environment before the run, with the injection in every place that the user task reads."""
        injections = self.wordings[wording].attack(user, injection) if injection else {}
        return user.init_environment(self.suite.load_and_inject_default_environment(injections))

    def steps(self, user, injection, environment):
        own = [Step(call, False) for call in user.ground_truth(environment.model_copy(deep=True))]
        if injection is None:
            return own
        after = self.carriers[user.ID] + 1
        injected = [Step(call, True) for call in missing.ground_truth(self.suite, injection, environment)]
        return own[:after] + injected + own[after:]

    def judge(self, task, before, after, calls):
        """AgentDojo's own verdict: `utility` of a user task, `security` of an injection task."""
        said = task.GROUND_TRUTH_OUTPUT if hasattr(task, "GROUND_TRUTH_OUTPUT") else ""
        blocks = [{"type": "text", "content": said}]
        # Copies: some of the checks read mails, which marks them as read.
        copies = (before.model_copy(deep=True), after.model_copy(deep=True))
        return bool(self.suite._check_task_result(task, blocks, *copies, calls))
