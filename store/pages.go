package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"snap/store/kind"
)

// maxPage is how many bytes a page may unpack to; maxValue is how many bytes a
// column of one row may have, so that no page of ours comes near maxPage.
const (
	maxPage  = 256 << 20
	maxValue = 64 << 20
)

// unpacker unpacks no more than a page.
var unpacker = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage))
})

// checkPages makes sure that a column's pages are what they say, before the
// library, which allocates what they say, sees them: a few bytes could
// otherwise unpack to all of memory.
func checkPages(file content, c kind.Column, m *format.ColumnMetaData) error {
	if m.Codec != format.Zstd || m.DictionaryPageOffset != 0 {
		return errors.New("it is not packed as this format is")
	}
	if m.DataPageOffset < 0 || m.TotalCompressedSize < 0 || m.DataPageOffset > file.Size() || m.TotalCompressedSize > file.Size()-m.DataPageOffset {
		return errors.New("it lies outside the file")
	}
	values := int64(0)
	at, end := m.DataPageOffset, m.DataPageOffset+m.TotalCompressedSize
	for at < end {
		h, size, err := pageHeader(file, at, end)
		if err != nil {
			return err
		}
		at += size
		v2, err := dataPage(h)
		if err != nil {
			return err
		}
		// What cannot be packed is somewhat longer than it was.
		if h.CompressedPageSize < 0 || int64(h.CompressedPageSize) > end-at || h.CompressedPageSize > 2*maxPage || h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPage {
			return errors.New("a page's size is wrong")
		}
		page, err := file.section(at, int64(h.CompressedPageSize))
		if err != nil {
			return err
		}
		at += int64(h.CompressedPageSize)
		repetition, definition := int(v2.RepetitionLevelsByteLength), int(v2.DefinitionLevelsByteLength)
		if repetition < 0 || definition < 0 || repetition > len(page) || definition > len(page)-repetition || repetition+definition > int(h.UncompressedPageSize) {
			return errors.New("a page's levels lie outside it")
		}
		// A value is of a byte or more, but for booleans, nulls and the ends of
		// lists, of which levels tell; so this bounds what the levels unpack to.
		if n := int(v2.NumValues); n <= 0 || int64(n) > m.NumValues-values || v2.NumNulls < 0 || v2.NumNulls > v2.NumValues {
			return errors.New("a page's count of values is wrong")
		}
		bits := 1
		if isList(c) && !required(c) {
			bits = 2
		}
		if err := errors.Join(checkLevels(page[:repetition], 1, int(v2.NumValues)), checkLevels(page[repetition:repetition+definition], bits, int(v2.NumValues))); err != nil {
			return err
		}
		values += int64(v2.NumValues)
		want := int(h.UncompressedPageSize) - repetition - definition
		u, err := unpacker()
		if err != nil {
			return err
		}
		data, err := u.DecodeAll(page[repetition+definition:], make([]byte, 0, min(want, 1<<20)))
		if err != nil {
			return fmt.Errorf("a page: %w", err)
		}
		if len(data) != want {
			return errors.New("a page unpacks to another size than it says")
		}
	}
	if values != m.NumValues {
		return errors.New("its pages have another count of values")
	}
	return nil
}

// pageHeader decodes the header of the page that begins at at; size is its own.
func pageHeader(file content, at, end int64) (h format.PageHeader, size int64, err error) {
	var protocol thrift.CompactProtocol
	for n := min(end-at, 4<<10); ; n = min(end-at, 16*n) {
		b, err := file.section(at, n)
		if err != nil {
			return h, 0, err
		}
		h = format.PageHeader{}
		r := protocol.NewReaderFromBytes(b)
		if err = thrift.NewDecoder(r).Decode(&h); err == nil {
			return h, int64(r.BytesRead()), nil
		}
		if n == end-at { // it is not just that more is needed
			return h, 0, fmt.Errorf("a page's header: %w", err)
		}
	}
}

// dataPage is the one kind of page that the format has.
func dataPage(h format.PageHeader) (format.DataPageHeaderV2, error) {
	if h.Type != format.DataPageV2 || !h.DataPageHeaderV2.Valid {
		return format.DataPageHeaderV2{}, errors.New("a page is of another kind")
	}
	v2 := h.DataPageHeaderV2.V
	if v2.Encoding != format.Plain || v2.IsCompressed.Valid && !v2.IsCompressed.V {
		return v2, errors.New("a page is encoded in another way")
	}
	return v2, nil
}

// checkLevels makes sure that run-length encoded levels are no more than n, but
// for what the last group of eight is filled up with.
func checkLevels(b []byte, bits, n int) error {
	wrong := errors.New("a page's levels are wrong")
	for len(b) > 0 {
		head, size := binary.Uvarint(b)
		if size <= 0 {
			return wrong
		}
		b = b[size:]
		count, bytes := head>>1, uint64(1)
		if head&1 == 1 {
			if count > uint64(len(b)) {
				return wrong
			}
			count, bytes = count*8, count*uint64(bits)
		}
		if n <= 0 || count > uint64(n+7) || bytes > uint64(len(b)) {
			return wrong
		}
		n -= int(count)
		b = b[bytes:]
	}
	return nil
}
