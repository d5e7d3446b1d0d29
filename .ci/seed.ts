import fc from 'fast-check'

/** Tests are the same every time: a fixed seed here, other seeds in campaigns (AUTHORITY_SEED=N npm run check repeats one). */
fc.configureGlobal({ seed: Number(process.env.AUTHORITY_SEED ?? 20_261_123) })
