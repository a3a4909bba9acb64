package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"weir"
)

// Key seals and opens values with AES-256-GCM. It prints as "***".
type Key struct {
	aead cipher.AEAD
	mark [markSize]byte // tells keys apart in what they sealed
}

const (
	keySize  = 32
	markSize = 4
	format   = 1 // first byte of what is sealed: format, mark of the key, nonce, ciphertext with tag
)

// OpenKeyFile reads the key in the file at path, 64 hex digits, and makes it
// first where there is none. It refuses a file that others than its owner may
// read or write.
func OpenKeyFile(path string) (*Key, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKeyFile(path); err != nil {
			return nil, fmt.Errorf("make key file: %w", err)
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, weir.E("open key file", weir.Forbidden,
			"%s can be read or written by others (mode %04o): chmod 600 it, and consider its secrets known", path, mode)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	k, err := ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("open key file %s: %w", path, err)
	}
	return k, nil
}

// ParseKey reads a key of 64 hex digits, space around it allowed.
func ParseKey(text string) (*Key, error) {
	raw, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != keySize {
		return nil, weir.E("parse key", weir.Invalid, "a key is %d hex digits", 2*keySize)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("weir key "), raw...))
	return &Key{aead: aead, mark: [markSize]byte(sum[:])}, nil
}

// makeKeyFile writes a new key. The file appears under its name only whole and
// synced, and never in place of one that another process made meanwhile.
func makeKeyFile(path string) error {
	var raw [keySize]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(raw[:]) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Seal encrypts a value so that it opens only under the same key, project and
// name.
func (k *Key) Seal(project weir.ProjectID, name string, value []byte) []byte {
	out := append([]byte{format}, k.mark[:]...)
	return k.aead.Seal(out, nil, value, place(project, name))
}

// Open decrypts what Seal made for the project and name.
func (k *Key) Open(project weir.ProjectID, name string, sealed []byte) ([]byte, error) {
	const head = 1 + markSize
	if len(sealed) < head || sealed[0] != format {
		return nil, weir.E("open secret", weir.Internal, "what is stored for %s was not sealed by this version", name)
	}
	if [markSize]byte(sealed[1:head]) != k.mark {
		return nil, weir.E("open secret", weir.Internal, "%s was sealed under another key: bring that key file back, or set the secret anew", name)
	}
	value, err := k.aead.Open(nil, nil, sealed[head:], place(project, name))
	if err != nil {
		return nil, weir.E("open secret", weir.Internal, "what is stored for %s was damaged or moved here", name)
	}
	return value, nil
}

// Mark tells keys apart. It is no secret: it stands in all that the key sealed.
func (k *Key) Mark() []byte { return k.mark[:] }

// String returns "***".
func (k *Key) String() string { return "***" }

// GoString returns "***".
func (k *Key) GoString() string { return "***" }

// place is the associated data of a sealed value.
func place(project weir.ProjectID, name string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(project)), name...)
}
