import type { Config } from '../config/schema.ts'
import type { Arguments } from './arguments.ts'
export async function make (_config: Config, _given: Arguments): Promise<number> { return 0 }
