/** From Orthanc to the disc. */
import t from 'tap'
import { retrieves } from './retrieves.ts'

retrieves(t, 'orthanc')
