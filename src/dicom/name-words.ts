/** Words that stand in names and are none. */
import { plain } from './name-spelling.ts'

/** Titles, degrees and forms of address: never a part of who somebody is. `NY`, `TN`, `SDR`, `HJ` ... are Indonesia's. */
export const TITLES = wordsOf(`
  mr mrs ms miss mister sir madam dr drg drh drs dra prof ir hj tn ny nn sdr sdri bpk tuan nyonya nona bapak ibu saudara saudari ananda
  herr frau dipl ing mme mlle monsieur madame mademoiselle sra srta senor senora senorita dott sig signora dhr mevr mw pan pani phd md
  dds spog spa spb sppd skm spd mpd amd skep mkes msi msc bsc mba khun nai nang naai г-н г-жа 様 さん 殿 先生 女士 小姐 씨 님 นาย นาง นางสาว ดช ดญ
  دكتور السيد السيدة حاج`)

/**
 * What joins names, or is a title here and a name there (`An` in Vietnam, `H` an initial): it may be missing beside two words that agree.
 */
export const PARTICLES = wordsOf(`
  an h bin binti bte bt ibn ben bint al el ul ur de del della der den des di da do dos das du la le las los van von vom zu zum ter ten
  te of and y e und si sang sri s p e m k d a/l a/p al بن ابن بنت ال`)

/** Who a mother's name with one of these names is not the mother: a newborn under her name, one of twins. */
export const NEWBORN = wordsOf(`
  by bayi baby babyboy babygirl newborn neonate neonatus boy girl twin twins kembar bb sohn tochter kind nouveau bebe rn recem saeugling`)

/** What is written where nobody knows a name. Two of them are not the same person for it. */
export const PLACEHOLDERS = wordsOf(`
  unknown unbekannt unbekannte inconnu inconnue desconocido desconocida desconhecido ignoto sconosciuto onbekend okand anonymous anonym
  anonymized anonymised anonymous anon noname nameless unnamed unidentified undefined none null nil na name no not available patient
  pasien emergency trauma notfall igd ugd x xx xxx mrx male female man woman pria wanita laki perempuan tanpa nama tidak dikenal
  diketahui неизвестно неизвестный неизвестная аноним 不明 不詳 氏名不詳 无名 無名 无名氏 無名氏 未知 미상 무명 مجهول مجهولة ไม่ทราบชื่อ אלמוני`)

export const MALE = wordsOf(`
  mr tn tuan bpk bapak sdr herr monsieur senor sig bin dhr saudara นาย`)
export const FEMALE = wordsOf(`
  mrs ms miss ny nyonya nn nona ibu hj sdri frau mme mlle madame sra srta senora signora binti bint bte mevr mw saudari นาง นางสาว`)

function wordsOf (list: string): ReadonlySet<string> { return new Set(list.trim().split(/\s+/).map(plain)) }
