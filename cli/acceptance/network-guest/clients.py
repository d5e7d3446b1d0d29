"""Python's clients, one after the other; the form of clients.sh."""

import asyncio
import os
import ssl
from urllib.parse import urlsplit

import httpx
import requests
import urllib3
import websockets.asyncio.client

PLACES = {
    "http": os.environ["WEB_URL"],
    "https": os.environ["TLS_URL"],
    "denied name": os.environ["NAME_URL"],
    "denied port": os.environ["PORT_URL"],
    "stranger": os.environ["STRANGER_URL"],
}


def via_httpx(url):
    with httpx.Client(timeout=60) as client:
        return client.get(url).text


async def via_httpx_async(url):
    async with httpx.AsyncClient(timeout=60) as client:
        return (await client.get(url)).text


async def via_asyncio(url):
    parts = urlsplit(url)
    context = ssl.create_default_context() if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    writer.write(f"GET / HTTP/1.1\r\nHost: {parts.hostname}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.decode()


async def via_websockets(url, **options):
    async with websockets.asyncio.client.connect(url, **options) as connection:
        await connection.send("python")
        return await connection.recv()


CLIENTS = {
    "requests": lambda url: requests.get(url, timeout=60).text,
    "urllib3": lambda url: urllib3.PoolManager(retries=False).request("GET", url).data.decode(),
    "httpx": via_httpx,
    "httpx async": lambda url: asyncio.run(via_httpx_async(url)),
    "asyncio": lambda url: asyncio.run(via_asyncio(url)),
}


def ask(name, question):
    print(f"=== {name}")
    try:
        print(question())
        print("=== exit 0", flush=True)
    except Exception as error:
        print(type(error).__name__, error)
        print("=== exit 1", flush=True)


for client, get in CLIENTS.items():
    for what, url in PLACES.items():
        ask(f"{client} {what}", lambda: get(url))
ask("websockets plain", lambda: asyncio.run(via_websockets(f"ws://web.test:{os.environ['SOCKETS']}")))
ask("websockets TLS", lambda: asyncio.run(via_websockets(f"wss://tls.test:{os.environ['SECURE_SOCKETS']}", ssl=ssl.create_default_context())))
