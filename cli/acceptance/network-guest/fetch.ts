/** Plain fetch, as any program has it: arguments are URLs; one line each. */
for (const url of process.argv.slice(2)) {
  try {
    console.log(`${url} ${(await (await fetch(url)).text()).trim()}`)
  } catch (error) {
    console.log(`${url} failed ${(error as { code?: string }).code}`)
  }
}

export {}
