// Judges our notes, proofs and tiles with libraries we did not write, and makes some of its own for us to judge.
// Arguments: a folder with checkpoint, earlier, key, proofs/N.tlog-proof and N.record, since; tiles below tlog/. Writes theirs.json into it.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

var folder = os.Args[1]

func read(name string) []byte { return must(os.ReadFile(filepath.Join(folder, name))) }

type head struct {
	size uint64
	root []byte
}

func open(data []byte, verifier note.Verifier) head {
	opened := must(note.Open(data, note.VerifierList(verifier)))
	lines := strings.Split(opened.Text, "\n")
	return head{must(strconv.ParseUint(lines[1], 10, 64)), must(base64.StdEncoding.DecodeString(lines[2]))}
}

// Hashes between the first line and the empty one, and the note behind it.
func split(data []byte, skip int) (lines []string, hashes [][]byte, rest []byte) {
	before, after, found := bytes.Cut(data, []byte("\n\n"))
	if !found {
		panic("no empty line")
	}
	lines = strings.Split(string(before), "\n")
	for _, line := range lines[skip:] {
		hashes = append(hashes, must(base64.StdEncoding.DecodeString(line)))
	}
	return lines, hashes, after
}

type tiles struct{}

func (tiles) Height() int { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (tiles) ReadTiles(wanted []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range wanted {
		// Their paths name the height; those of c2sp.org/tlog-tiles do not.
		data = append(data, read(filepath.Join("tlog", "tile", strings.TrimPrefix(tile.Path(), "tile/8/"))))
	}
	return data, nil
}

func main() {
	verifier := must(note.NewVerifier(strings.TrimSpace(string(read("key")))))
	now := open(read("checkpoint"), verifier)
	earlier := open(read("earlier"), verifier)

	proofs := must(filepath.Glob(filepath.Join(folder, "proofs", "*.tlog-proof")))
	reader := tlog.TileHashReader(tlog.Tree{N: int64(now.size), Hash: tlog.Hash(now.root)}, tiles{})
	for _, path := range proofs {
		lines, hashes, signed := split(must(os.ReadFile(path)), 2)
		if lines[0] != "c2sp.org/tlog-proof@v1" {
			panic(lines[0])
		}
		index := must(strconv.ParseUint(strings.TrimPrefix(lines[1], "index "), 10, 64))
		leaf := rfc6962.DefaultHasher.HashLeaf(must(os.ReadFile(strings.TrimSuffix(path, ".tlog-proof") + ".record")))
		at := open(signed, verifier)
		check(proof.VerifyInclusion(rfc6962.DefaultHasher, index, at.size, leaf, hashes, at.root))
		if proof.VerifyInclusion(rfc6962.DefaultHasher, index^1, at.size, leaf, hashes, at.root) == nil {
			panic("another place is proved as well")
		}
		theirs := must(tlog.ProveRecord(int64(now.size), int64(index), reader))
		for i, hash := range theirs {
			if !bytes.Equal(hash[:], hashes[i]) {
				panic("from our tiles they make another proof")
			}
		}
	}
	lines, hashes, signed := split(read("since"), 1)
	if lines[0] != fmt.Sprintf("old %d", earlier.size) {
		panic(lines[0])
	}
	at := open(signed, verifier)
	check(proof.VerifyConsistency(rfc6962.DefaultHasher, earlier.size, at.size, hashes, earlier.root, at.root))

	check(os.WriteFile(filepath.Join(folder, "theirs.json"), theirs(), 0o600))
	fmt.Printf("verified %d proofs\n", len(proofs))
}

type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) (hashes []tlog.Hash, err error) {
	for _, index := range indexes {
		hashes = append(hashes, m[index])
	}
	return hashes, nil
}

// A tree, its notes and proofs, all made by them.
func theirs() []byte {
	const size, old = 300, 77
	private, public := must2(note.GenerateKey(rand.Reader, "example.com/their-log"))
	signer := must(note.NewSigner(private))
	var stored memory
	type inclusion struct {
		Index  int64
		Record string
		Hashes []tlog.Hash
	}
	var inclusions []inclusion
	notes := map[int]string{}
	for i := int64(0); i < size; i++ {
		stored = append(stored, must(tlog.StoredHashes(i, []byte(fmt.Sprintf("entry %d", i)), stored))...)
		if n := i + 1; n == old || n == size {
			text := fmt.Sprintf("example.com/their-log\n%d\n%s\n", n, must(tlog.TreeHash(n, stored)))
			notes[int(n)] = string(must(note.Sign(&note.Note{Text: text}, signer)))
		}
	}
	for _, index := range []int64{0, 1, 76, 255, 256, 299} {
		inclusions = append(inclusions, inclusion{index, fmt.Sprintf("entry %d", index), must(tlog.ProveRecord(size, index, stored))})
	}
	return must(json.Marshal(map[string]any{
		"key": public, "note": notes[size], "old": notes[old], "size": size, "oldSize": old,
		"inclusions": inclusions, "consistency": must(tlog.ProveTree(size, old, stored)),
	}))
}

func must2[A, B any](a A, b B, err error) (A, B) {
	check(err)
	return a, b
}
