/** Fetches URL and prints the status or the error's code; argv: URL [ROOT]. A process of its own, so that a test can give it any environment. */
import { AuthorityError } from '@authority/protocol'
import { netEffects } from '../index.ts'
import { FakeSession, permitAll } from './fake-session.ts'

const [url = '', root] = process.argv.slice(2)
const effects = netEffects({
  resolve: async () => [],
  hosts: new Map([
    ['good.example', '127.0.0.1'],
    ['other.example', '127.0.0.1'],
  ]),
  ...(root === undefined ? {} : { roots: [root] }),
})
const fetch = effects.find(({ operation }) => operation === 'net.fetch')
try {
  const { result } = (await fetch?.prepare(['GET', url, [], null, 0, 5000, 0, 0, null], new FakeSession()).execute(permitAll())) ?? {
    result: [],
  }
  process.stdout.write(String(result[0]))
} catch (error) {
  process.stdout.write(error instanceof AuthorityError ? `${error.code} ${error.message}` : String(error))
}
process.exit(0)
