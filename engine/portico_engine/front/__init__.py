"""The engine from a program: asyncio over a thread of this process."""
