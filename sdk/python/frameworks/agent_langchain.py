"""An agent of LangChain, with a model that says what it is told to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command

import aecl
from aecl.langchain import AECLMiddleware
from order import Order, Played, Tools, main

CONFIG: Any = {"configurable": {"thread_id": "one"}}


class Script(BaseChatModel):
    """Model that makes the calls of an order in turn, as far as they have no result yet."""

    calls: list[dict[str, Any]]

    @property
    def _llm_type(self) -> str:
        return "script"

    def bind_tools(self, tools: Sequence[Any], **rest: Any) -> Runnable[Any, Any]:
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **rest: Any,
    ) -> ChatResult:
        done = sum(isinstance(one, ToolMessage) for one in messages)
        said = AIMessage(content="ended")
        if done < len(self.calls):
            one = self.calls[done]
            said = AIMessage(
                content="", tool_calls=[ToolCall(name=one["name"], args=one["args"], id=one["id"], type="tool_call")]
            )
        return ChatResult(generations=[ChatGeneration(message=said)])


def words(order: Order) -> Any:
    """Words that begin, or go on with an answer."""
    if order.answer is None:
        return {"messages": [{"role": "user", "content": "Do it."}]}
    if isinstance(order.answer, dict):
        edited = {"name": order.calls[-1]["name"], "args": order.answer}
        return Command(resume={"type": "edit", "edited_action": edited})
    return Command(resume={"type": order.answer})


def played(state: dict[str, Any]) -> Played:
    held = [one.value for one in state.get("__interrupt__", ())]
    told = [str(one.content) for one in state["messages"] if isinstance(one, ToolMessage)]
    return Played(told, [{**one["aecl"], "args": one["args"]} for one in held], str(state["messages"][-1].content))


def play(order: Order) -> Played:
    return asyncio.run(in_coroutines(order)) if order.coroutines else in_threads(order)


def built(order: Order, run: Any, saver: Any) -> Any:
    tools = [StructuredTool.from_function(one) for one in Tools(order).all()]
    middleware: Any = AECLMiddleware(run, execute=order.execute)
    return create_agent(Script(calls=order.calls), tools, middleware=[middleware], checkpointer=saver)


def in_threads(order: Order) -> Played:
    with aecl.Client(url=order.url) as client, SqliteSaver.from_conn_string(str(order.state)) as saver:
        run = client.resume(token=order.token)
        return played(built(order, run, saver).invoke(words(order), CONFIG))


async def in_coroutines(order: Order) -> Played:
    open_state: Callable[[str], Any] = AsyncSqliteSaver.from_conn_string
    async with aecl.AsyncClient(url=order.url) as client, open_state(str(order.state)) as saver:
        if order.threads:
            with aecl.Client(url=order.url) as other:
                run: Any = other.resume(token=order.token)
                return played(await built(order, run, saver).ainvoke(words(order), CONFIG))
        run = await client.resume(token=order.token)
        return played(await built(order, run, saver).ainvoke(words(order), CONFIG))


if __name__ == "__main__":
    main(play)
