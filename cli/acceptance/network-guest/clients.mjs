/** Node's own clients, one after the other; the form of clients.sh. */
import dns from 'node:dns/promises'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'

const { WEB_URL, TLS_URL, NAME_URL, PORT_URL, STRANGER_URL } = process.env
const ask = async (name, question) => {
  console.log(`=== ${name}`)
  try {
    console.log(await question())
    console.log('=== exit 0')
  } catch (error) {
    console.log((error.cause ?? error).code ?? String(error))
    console.log('=== exit 1')
  }
}

const viaFetch = async (url) => (await fetch(url)).text()
const viaModules = (url) =>
  new Promise((resolve, reject) => {
    const request = (url.startsWith('https') ? https : http).get(url, { agent: false }, (answer) => {
      let text = ''
      answer.on('data', (data) => (text += data)).on('end', () => resolve(text))
    })
    request.on('error', reject)
  })
const viaSocket = (url) =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    const socket = net.connect(Number(port), hostname, () => socket.end(`GET / HTTP/1.0\r\nHost: ${hostname}\r\n\r\n`))
    let text = ''
    socket
      .on('data', (data) => (text += data))
      .on('end', () => resolve(text))
      .on('error', reject)
  })
const viaHttp2 = (url) =>
  new Promise((resolve, reject) => {
    const session = http2.connect(url)
    session.on('error', reject)
    const stream = session.request({ ':path': '/' })
    let text = ''
    stream.on('data', (data) => (text += data)).on('error', reject)
    stream.on('end', () => session.close(() => resolve(text)))
  })

const places = { http: WEB_URL, https: TLS_URL, 'denied name': NAME_URL, 'denied port': PORT_URL, stranger: STRANGER_URL }
for (const [what, url] of Object.entries(places)) {
  await ask(`Node fetch ${what}`, () => viaFetch(url))
  await ask(`Node http ${what}`, () => viaModules(url))
  if (!url.startsWith('https')) await ask(`Node net ${what}`, () => viaSocket(url))
}
await ask('Node http2 https', () => viaHttp2(TLS_URL))
await ask('Node http2 stranger', () => viaHttp2(STRANGER_URL))
await ask('Node c-ares http', async () => ((await dns.resolve4('web.test')).length === 1 ? 'one address' : 'others'))
await ask('Node c-ares denied name', () => dns.resolve4(new URL(NAME_URL).hostname))
