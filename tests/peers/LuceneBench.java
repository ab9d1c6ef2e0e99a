// Lucene in process on a set of judged questions: one index of one text field with CJKAnalyzer
// (bigrams), BM25 as it comes (k1 1.2, b .75), questions as a disjunction of their terms.
// Arguments: articles (JSON lines by way of lucene.py: id TAB text), questions (id TAB text), a file for rankings.
// Prints one line: docs, seconds of indexing, p50 and p95 of a search of 100 hits in microseconds.

import java.io.BufferedReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.cjk.CJKAnalyzer;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.QueryBuilder;

public class LuceneBench {
    public static void main(String[] args) throws Exception {
        Path folder = Files.createTempDirectory("lucene");
        Analyzer analyzer = new CJKAnalyzer();
        FSDirectory directory = FSDirectory.open(folder);
        long start = System.nanoTime();
        int docs = 0;
        try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig(analyzer).setRAMBufferSizeMB(128));
             BufferedReader in = Files.newBufferedReader(Paths.get(args[0]), StandardCharsets.UTF_8)) {
            for (String line; (line = in.readLine()) != null; docs++) {
                int tab = line.indexOf('\t');
                Document document = new Document();
                document.add(new StringField("id", line.substring(0, tab), Field.Store.YES));
                document.add(new TextField("text", line.substring(tab + 1), Field.Store.YES));
                writer.addDocument(document);
            }
            writer.commit();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        List<String[]> questions = new ArrayList<>();
        for (String line : Files.readAllLines(Paths.get(args[1]), StandardCharsets.UTF_8)) {
            questions.add(line.split("\t", 2));
        }
        try (DirectoryReader reader = DirectoryReader.open(directory); PrintWriter out = new PrintWriter(args[2], "UTF-8")) {
            IndexSearcher searcher = new IndexSearcher(reader);
            QueryBuilder builder = new QueryBuilder(analyzer);
            long[] times = new long[questions.size()];
            // The first round warms the machine; the second is measured.
            for (int round = 0; round < 2; round++) {
                for (int i = 0; i < questions.size(); i++) {
                    long at = System.nanoTime();
                    Query query = builder.createBooleanQuery("text", questions.get(i)[1]);
                    StringBuilder ranking = new StringBuilder(questions.get(i)[0]);
                    if (query != null) {
                        TopDocs found = searcher.search(query, 100);
                        for (ScoreDoc hit : found.scoreDocs) {
                            ranking.append('\t').append(searcher.doc(hit.doc).get("id"));
                        }
                    }
                    times[i] = System.nanoTime() - at;
                    if (round == 1) {
                        out.println(ranking);
                    }
                }
            }
            Arrays.sort(times);
            System.out.printf("%d\t%.2f\t%d\t%d%n", docs, seconds, times[times.length / 2] / 1000, times[times.length * 95 / 100] / 1000);
        }
    }
}
