"""The graph as data: node specifications, workflows, resolved graphs and plans. Imports no torch and no aiohttp."""
