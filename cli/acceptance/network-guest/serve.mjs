/** A server of the agent's own, until it is asked for /stop. */
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  response.setHeader('connection', 'close')
  response.end(`guest says ${request.url}`)
  if (request.url === '/stop') server.close()
})
server.listen(8000, '127.0.0.1', () => console.log('serving'))
